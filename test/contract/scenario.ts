import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Answer, CallOptions, Client, WatchStream } from './client.ts';
import { becomes } from '../testing/eventually.ts';
import { at, type Json, stringAt } from './json.ts';
import { normalize } from './normalize.ts';
import type { Exchange } from './recordings.ts';
import type { ContractServer } from './server.ts';

/** Scenarios that belong together; each title is the rule that it proves. */
export interface Theme {
  readonly name: string;
  /** One scenario at a time, because each takes the server away from under the others. */
  readonly exclusive?: boolean;
  readonly scenarios: Readonly<Record<string, (scenario: Scenario) => Promise<void>>>;
}

export interface RecordedCall extends CallOptions {
  /** False: what is answered depends on the moment, and only the scenario's own assertions hold it. */
  record?: boolean;
  /** Compare managedFields, too. */
  managedFields?: boolean;
  /** Part of the answer that is compared; all of it by default. */
  pick?: (body: Json) => unknown;
}

/** One rule's requests against a server: it has a namespace of its own, and everything in it goes afterwards. */
export class Scenario {
  readonly client: Client;
  readonly server: ContractServer;
  /** Random; part of the name of whatever is cluster-wide. */
  readonly id = `c${randomBytes(4).toString('hex')}`;
  readonly namespace: string;
  readonly exchanges: Exchange[] = [];
  readonly #cleanups: (() => unknown)[] = [];

  constructor(server: ContractServer) {
    this.server = server;
    this.client = server.client;
    this.namespace = `${this.id}-ns`;
  }

  /** Makes the scenario's namespace. */
  async begin(): Promise<void> {
    await this.makeNamespace(this.namespace);
  }

  /** A namespace that goes with the scenario; `labels` beside the name's. */
  async makeNamespace(name: string, labels: Record<string, string> = {}): Promise<void> {
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
    const made = await this.client.call('POST', '/api/v1/namespaces', { body });
    assert.equal(made.code, 201, JSON.stringify(made.body));
    this.after(() => this.client.call('DELETE', `/api/v1/namespaces/${name}`));
  }

  after(cleanup: () => unknown): void {
    this.#cleanups.push(cleanup);
  }

  async end(): Promise<void> {
    for (const cleanup of this.#cleanups.reverse()) await cleanup();
  }

  /** `/api/v1/namespaces/<own>/<rest>`, or below `/apis/<group version>`. */
  path(rest: string, groupVersion = ''): string {
    const root = groupVersion === '' ? '/api/v1' : `/apis/${groupVersion}`;
    return `${root}/namespaces/${this.namespace}/${rest}`;
  }

  /** A request whose answer is compared with the real server's. */
  async call(method: string, path: string, options: RecordedCall = {}): Promise<Answer> {
    const answer = await this.client.call(method, path, options);
    if (options.record === false) return answer;
    const placeholders = { id: this.id, managedFields: options.managedFields ?? false };
    const warning = answer.headers['warning'];
    this.exchanges.push({
      request: String(normalize(`${method} ${path}`, placeholders)),
      code: answer.code,
      ...(warning === undefined
        ? {}
        : { warnings: normalize(warning.split(/, (?=299)/), placeholders) as string[] }),
      body: normalize(options.pick === undefined ? answer.body : options.pick(answer.body), placeholders),
    });
    return answer;
  }

  /** As `call`; throws when it is not answered with `code`. */
  async expect(code: number, method: string, path: string, options: RecordedCall = {}): Promise<Json> {
    const answer = await this.call(method, path, options);
    assert.equal(answer.code, code, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** As `expect`, for a failure: its message must be this. */
  async refuse(
    code: number,
    message: string | RegExp,
    method: string,
    path: string,
    options: RecordedCall = {},
  ): Promise<Json> {
    const body = await this.expect(code, method, path, options);
    if (typeof message === 'string') assert.equal(body['message'], message);
    else assert.match(stringAt(body, 'message'), message);
    return body;
  }

  /** A patch of one of the four kinds. */
  async patch(
    code: number,
    type: keyof typeof PATCH_TYPES,
    path: string,
    body: unknown,
    options: RecordedCall = {},
  ): Promise<Json> {
    const headers = { 'content-type': PATCH_TYPES[type], ...options.headers };
    return this.expect(code, 'PATCH', path, { ...options, body, headers });
  }

  /** A watch that ends with the scenario. */
  async watch(path: string, options: CallOptions = {}): Promise<WatchStream> {
    const stream = await this.client.watch(path, options);
    this.after(() => stream.close());
    return stream;
  }

  /** The server goes and comes again with what it had; `compact`: it has lost its older revisions. */
  async restart(options: { compact?: boolean } = {}): Promise<void> {
    this.client.close();
    await this.server.restart(options.compact ?? false);
    this.client.reopen();
  }

  /** Opens a watch to see whether it may be opened: the refusal is compared, events are not waited for. */
  async tryWatch(path: string): Promise<void> {
    const stream = await this.client.watch(path);
    const body = stream.code === 200 ? { text: 'a watch' } : await stream.next();
    stream.close();
    const placeholders = { id: this.id, managedFields: false };
    this.exchanges.push({
      request: String(normalize(`GET ${path}`, placeholders)),
      code: stream.code,
      body: normalize(body, placeholders),
    });
  }

  /** Compares events of a watch with the real server's. */
  recordEvents(request: string, events: readonly (Json | undefined)[]): void {
    const placeholders = { id: this.id, managedFields: false };
    this.exchanges.push({
      request: String(normalize(request, placeholders)),
      events: events.map((event) => normalize(event, placeholders)),
    });
  }

  /** The first event of a watch from now on that is wanted. Throws when the watch ends before. */
  async awaitEvent(stream: WatchStream, what: string, wanted: (event: Json) => boolean): Promise<Json> {
    for (;;) {
      const event = await stream.next();
      if (event === undefined) throw new Error(`the watch ended before ${what}`);
      if (wanted(event)) return event;
    }
  }

  /** Watches what a path's collection holds now and later until something is wanted. */
  async until(what: string, collection: string, wanted: (event: Json) => boolean): Promise<Json> {
    const stream = await this.#watchForLong(collection);
    try {
      return await this.awaitEvent(stream, what, wanted);
    } finally {
      stream.close();
    }
  }

  /**
   * Starts something and waits until an object of a collection has gone by it. The watch is open before the start: one
   * that is opened beside it may come after the end, and would never tell of it.
   */
  async untilGone(what: string, collection: string, start: () => Promise<unknown>): Promise<void> {
    const stream = await this.#watchForLong(collection);
    try {
      await start();
      await this.awaitEvent(stream, `${what} has gone`, (event) => event['type'] === 'DELETED');
    } finally {
      stream.close();
    }
  }

  /**
   * Asks until the answer is as wanted, and answers it; nothing of it is compared. What is written in one part of a
   * server (roles, webhooks, definitions, deletions) another goes by only once it has seen it.
   */
  poll(what: string, ask: () => Promise<Answer>, wanted: (answer: Answer) => boolean): Promise<Answer> {
    const look = async (): Promise<Answer | undefined> => {
      const answer = await ask();
      return wanted(answer) ? answer : undefined;
    };
    return becomes(what, look, { limitMs: UNTIL_SECONDS * 1000, everyMs: POLL_EVERY_MS });
  }

  /** The namespace's default account, without which it takes no pod. */
  async hasDefaultAccount(): Promise<void> {
    await this.#hasOfItself('serviceaccounts', 'default');
  }

  /** The server's anchors, which every namespace is given. */
  async hasTrustBundle(): Promise<void> {
    await this.#hasOfItself('configmaps', 'kube-root-ca.crt');
  }

  async #hasOfItself(plural: string, name: string): Promise<void> {
    await this.until(
      `${plural} ${name}`,
      this.path(plural),
      (event) => at(event, 'object.metadata.name') === name,
    );
  }

  #watchForLong(collection: string): Promise<WatchStream> {
    const separator = collection.includes('?') ? '&' : '?';
    return this.watch(`${collection}${separator}watch=1&timeoutSeconds=${UNTIL_SECONDS}`);
  }
}

/** Longest that a controller's work is waited for. */
const UNTIL_SECONDS = 120;
const POLL_EVERY_MS = 25;

const PATCH_TYPES = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;
