import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { component, dnsIdentity, env as variable, port, spiffeId } from '../../api/names.ts';
import { freshAddress } from '../testing/addresses.ts';
import type { FakeEndpoint, FakeExport } from '../../proxy/testing/mesh/fake-control-plane.ts';
import type { WorkloadNames } from '../../workload-identity/index.ts';
import {
  makeAnchor,
  makeIssuer,
  makeLeaf,
  requestedKey,
  TRUST_DOMAIN,
  type Made,
} from '../../workload-identity/testing/test-ca.ts';
import type { FromPart, Look, ToPart } from './part.ts';

const DAY_MS = 24 * 3_600_000;
const FILE = join(import.meta.dirname, 'part.ts');

/** How a part is started. */
export interface PartOptions {
  readonly name: string;
  readonly clusterId?: string;
  readonly part?: 'proxy' | 'gateway';
  readonly exports?: FakeExport[];
  readonly ip?: string;
  /** Services that its control plane knows from the beginning. */
  readonly services?: Readonly<Record<string, FakeEndpoint[]>>;
  readonly env?: Readonly<Record<string, string>>;
  /** How many descriptors it may have open. Default: what this process may. */
  readonly limit?: number;
  /** Descriptors that its standard output and standard error become. */
  readonly outputs?: readonly [out: number, error: number];
}

/** Proxies and gateways as processes of their own, under one trust anchor. Ended with `close`. */
export class Parts {
  readonly #dir = mkdtempSync(join(tmpdir(), 'isthmus-parts-'));
  readonly #anchor: Made;
  readonly #issuers = new Map<string, Made>();
  readonly #running = new Set<Part>();
  readonly #leafMs: number;

  private constructor(anchor: Made, leafMs: number) {
    this.#anchor = anchor;
    this.#leafMs = leafMs;
    writeFileSync(this.#anchorsFile, anchor.pem);
  }

  /** `leafMs`: how long a certificate is good for. */
  static async create(leafMs = DAY_MS): Promise<Parts> {
    return new Parts(await makeAnchor(), leafMs);
  }

  get #anchorsFile(): string {
    return join(this.#dir, 'ca-bundle.crt');
  }

  /** Resolves when it serves. */
  async start(options: PartOptions): Promise<Part> {
    const {
      name,
      clusterId = 'east',
      part = 'proxy',
      exports = [],
      ip = freshAddress(),
      services = {},
      env = {},
      limit,
      outputs: [out, error] = ['ignore' as const, 'inherit' as const],
    } = options;
    const isGateway = part === 'gateway';
    const names: WorkloadNames = {
      serviceAccount: isGateway ? component.gateway : name,
      namespace: isGateway ? 'isthmus' : 'shop',
      clusterId,
      meshNamespace: 'isthmus',
      trustDomain: TRUST_DOMAIN,
    };
    const [program, ...before] = limited(limit);
    const child = spawn(
      program,
      [...before, '--expose-gc', '--max-semi-space-size=1', '--disable-warning=ExperimentalWarning', FILE],
      {
        env: {
          ...process.env,
          POD_NAME: name,
          POD_NAMESPACE: names.namespace,
          POD_IP: ip,
          SERVICE_ACCOUNT: names.serviceAccount,
          [variable.clusterName]: clusterId,
          [variable.logLevel]: 'warn',
          MALLOC_ARENA_MAX: '1',
          ...env,
        },
        stdio: ['ignore', out, error, 'ipc'],
      },
    );
    const made = new Part(child, names, ip);
    this.#running.add(made);
    child.once('exit', () => this.#running.delete(made));
    const issuer = await this.#issuer(clusterId);
    made.on('csr', ({ csr }) => void this.#certify(made, issuer, names, csr));
    await made.heard('hello');
    const ready = made.heard('ready');
    made.say({ kind: 'setup', part, names, anchorsFile: this.#anchorsFile, exports });
    for (const [authority, endpoints] of Object.entries(services)) made.tell(authority, endpoints);
    await ready;
    return made;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running].map((part) => part.stop()));
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #issuer(clusterId: string): Promise<Made> {
    const known = this.#issuers.get(clusterId) ?? (await makeIssuer(this.#anchor, clusterId));
    this.#issuers.set(clusterId, known);
    return known;
  }

  async #certify(to: Part, issuer: Made, names: WorkloadNames, csr: string): Promise<void> {
    const notAfter = Date.now() + this.#leafMs;
    const leaf = await makeLeaf(issuer, names, {
      publicKey: requestedKey(Buffer.from(csr, 'base64')),
      notAfter,
    });
    to.say({
      kind: 'certified',
      leaf: leaf.x509.raw.toString('base64'),
      issuer: issuer.x509.raw.toString('base64'),
      notAfter,
    });
  }
}

/** Node, by a shell that takes descriptors from it where it is to have fewer. */
function limited(limit: number | undefined): [program: string, ...args: string[]] {
  if (limit === undefined) return [process.execPath];
  return ['/bin/sh', '-c', `ulimit -n ${limit}; exec "$0" "$@"`, process.execPath];
}

/** One process. */
export class Part {
  readonly ip: string;
  readonly #child: ChildProcess;
  readonly #names: WorkloadNames;

  constructor(child: ChildProcess, names: WorkloadNames, ip: string) {
    this.#child = child;
    this.#names = names;
    this.ip = ip;
  }

  /** An app's port of its pod, as the control plane tells it. */
  endpoint(appPort: number): FakeEndpoint {
    const { ip: address } = this;
    const names = this.#names;
    return {
      address,
      port: appPort,
      inboundPort: port.inbound,
      spiffeId: spiffeId(names),
      dnsName: dnsIdentity(names),
    };
  }

  /** A gateway, as the control plane of another cluster tells it. */
  mirrorOf(authorityOverride: string): FakeEndpoint {
    return { ...this.endpoint(port.inbound), authorityOverride };
  }

  say(message: ToPart): void {
    if (this.#child.connected) this.#child.send(message);
  }

  tell(authority: string, endpoints: FakeEndpoint[]): void {
    this.say({ kind: 'service', authority, endpoints });
  }

  on<K extends FromPart['kind']>(kind: K, listener: (message: Extract<FromPart, { kind: K }>) => void): void {
    this.#child.on('message', (message: FromPart) => {
      if (message.kind === kind) listener(message as Extract<FromPart, { kind: K }>);
    });
  }

  /** The next message of a kind; rejects when the process ends before. */
  heard<K extends FromPart['kind']>(kind: K): Promise<Extract<FromPart, { kind: K }>> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const ended = (code: number | null): void => {
        reject(new Error(`${this.#names.serviceAccount} ended with ${code} before ${kind}`));
      };
      const listen = (message: FromPart): void => {
        if (message.kind !== kind) return;
        child.off('message', listen);
        child.off('exit', ended);
        resolve(message as Extract<FromPart, { kind: K }>);
      };
      child.once('exit', ended);
      child.on('message', listen);
    });
  }

  async look(): Promise<Look> {
    const looked = this.heard('looked');
    this.say({ kind: 'look' });
    return looked;
  }

  /** SIGTERM, as a pod is ended. @returns the exit code when it has ended */
  async stop(): Promise<number | null> {
    const { exitCode } = this.#child;
    if (exitCode !== null) return exitCode;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const [code] = (await ended) as [number | null];
    return code;
  }
}
