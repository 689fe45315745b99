import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dnsIdentity, PROXY_UID, redirectEnv, spiffeId } from '../../api/names.ts';
import type { FakeEndpoint } from '../../proxy/testing/mesh/fake-control-plane.ts';
import { redirectConfig } from '../../redirect/config.ts';
import type { WorkloadNames } from '../../workload-identity/index.ts';
import {
  makeAnchor,
  makeIssuer,
  makeLeaf,
  privateKeyPem,
  requestedKey,
  workload,
  type Made,
} from '../../workload-identity/testing/test-ca.ts';
import type { AppResult, AppTask, FromSidecar, Seen, ToSidecar } from './messages.ts';
import { TestNetwork, type Namespace } from './namespaces.ts';

const HOUR_MS = 3_600_000;
/** A user id that is neither root's nor the sidecar's. */
const APP_UID = 1_000;

const script = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Which programs the rules are set by: what this machine has, or iptables alone. */
export type Tools = 'all' | 'iptables';

/** A process in a namespace, as an app's user or another. */
export class App {
  readonly #child: ChildProcess;
  #last: Promise<unknown> = Promise.resolve();

  constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Does tasks in their order. */
  ask(task: AppTask): Promise<AppResult> {
    const done = this.#last.then(() => this.#ask(task));
    this.#last = done;
    return done;
  }

  async get(url: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
    const result = await this.ask({ do: 'get', url, headers });
    if (result.kind !== 'answer') throw new Error(`GET ${url}: ${JSON.stringify(result)}`);
    return result;
  }

  /** What the app at the other end saw of a request. */
  async seen(url: string, headers: Record<string, string> = {}): Promise<Seen> {
    const { status, body } = await this.get(url, headers);
    if (status !== 200) throw new Error(`GET ${url}: ${status} ${body}`);
    return JSON.parse(body) as Seen;
  }

  /** All that came, or `failed: CODE`. @param waits until the server has spoken */
  async talk(host: string, number: number, send: string, waits = false): Promise<string> {
    const result = await this.ask({ do: 'talk', host, port: number, send, waits });
    return result.kind === 'bytes' ? result.text : `failed: ${JSON.stringify(result)}`;
  }

  async #ask(task: AppTask): Promise<AppResult> {
    const answered = nextMessage<AppResult>(this.#child);
    this.#child.send(task);
    return answered;
  }
}

/** A pod: a namespace with rules, a sidecar and an app. */
export interface Pod {
  readonly namespace: Namespace;
  readonly names: WorkloadNames;
  readonly dnsName: string;
  readonly app: App;
  /** Resolves with the exit code of the sidecar. */
  readonly ended: Promise<number | null>;
  /** As the control plane tells of a port of the pod. */
  endpoint(appPort: number): FakeEndpoint;
  /** Tells the sidecar's control plane. */
  tell(message: Extract<ToSidecar, { kind: 'service' | 'policy' | 'unseen' }>): Promise<void>;
}

export interface PodOptions {
  /** Of the container that sets the rules. */
  readonly env?: Record<string, string>;
  readonly opaquePorts?: readonly number[];
  readonly probes?: readonly (readonly [number, readonly string[]])[];
  readonly tools?: Tools;
  /** The sidecar is an ingress controller's. */
  readonly ingress?: boolean;
}

/** Pods under one trust anchor on a network of their own. Call `close` at the end, also of a failure. */
export class TestPods {
  readonly network: TestNetwork;
  readonly #dir: string;
  readonly #anchorsFile: string;
  readonly #issuer: Made;
  readonly #children: ChildProcess[] = [];

  private constructor(dir: string, anchor: Made, issuer: Made) {
    this.#dir = dir;
    this.#anchorsFile = join(dir, 'ca-bundle.crt');
    this.#issuer = issuer;
    writeFileSync(this.#anchorsFile, anchor.pem);
    this.network = new TestNetwork();
  }

  static async create(): Promise<TestPods> {
    const anchor = await makeAnchor();
    const issuer = await makeIssuer(anchor, 'east');
    const dir = mkdtempSync(join(tmpdir(), 'isthmus-netns-'));
    // The sidecar runs as another user.
    chmodSync(dir, 0o755);
    return new TestPods(dir, anchor, issuer);
  }

  async close(): Promise<void> {
    const living = this.#children.filter((child) => child.exitCode === null && child.signalCode === null);
    await Promise.all(
      living.map((child) => {
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        return exited;
      }),
    );
    this.network.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** A certificate of an app's own, which the mesh has nothing to do with. */
  async appCertificate(): Promise<{ key: string; cert: string }> {
    const leaf = await makeLeaf(this.#issuer, workload('own-tls'));
    return { key: await privateKeyPem(leaf), cert: leaf.pem };
  }

  /** A certificate of the mesh for a client that speaks mesh TLS by itself, as Linkerd's proxy does. */
  async meshCertificate(serviceAccount: string): Promise<{ key: string; cert: string }> {
    const leaf = await makeLeaf(this.#issuer, workload(serviceAccount));
    return { key: await privateKeyPem(leaf), cert: leaf.pem + this.#issuer.pem };
  }

  /** An app in a namespace. @param uid whose connections the rules tell apart */
  app(namespace: Namespace, uid = APP_UID): App {
    return new App(this.#spawn(namespace, uid, 'app.ts'));
  }

  async pod(serviceAccount: string, host: number, options: PodOptions = {}): Promise<Pod> {
    const { env = {}, opaquePorts = [], probes = [], tools = 'all', ingress = false } = options;
    const namespace = this.network.namespace(serviceAccount, host);
    this.redirect(namespace, env, tools);
    const names = workload(serviceAccount);
    const child = this.#spawn(namespace, PROXY_UID, 'sidecar.ts');
    const send = (message: ToSidecar): boolean => child.send(message);
    const { inboundPort: inbound, outboundPort: outbound, adminPort: admin } = redirectConfig(env);
    const ports = { inbound, outbound, admin };
    const where = { names, ip: namespace.ip4, anchorsFile: this.#anchorsFile };
    send({ kind: 'start', ...where, opaquePorts, probes, ports, ingress });
    for (;;) {
      const message = await nextMessage<FromSidecar>(child);
      if (message.kind === 'ready') break;
      if (message.kind === 'csr') send(await this.#sign(names, message.csr));
    }
    const dnsName = dnsIdentity(names);
    return {
      namespace,
      names,
      dnsName,
      app: this.app(namespace),
      ended: once(child, 'exit').then(([code]) => code as number | null),
      endpoint: (appPort) => ({
        address: namespace.ip4,
        port: appPort,
        inboundPort: inbound,
        spiffeId: spiffeId(names),
        dnsName,
      }),
      async tell(message) {
        const done = nextMessage(child);
        send(message);
        await done;
      },
    };
  }

  /** Runs the init container's program in a namespace. Answers its log; throws what it says when it fails. */
  redirect(namespace: Namespace, env: Record<string, string> = {}, tools: Tools = 'all'): string {
    const path = tools === 'all' ? (process.env['PATH'] ?? '') : this.#iptablesAlone();
    const command = ['env', `PATH=${path}`, process.execPath, script('../../redirect/main.ts')];
    const [program = '', ...words] = [...namespace.exec, ...command];
    const own = { [redirectEnv.proxyUid]: String(PROXY_UID) };
    const done = spawnSync(program, words, { encoding: 'utf8', env: { ...process.env, ...own, ...env } });
    if (done.status !== 0) throw new Error(`redirect: ${done.stderr}`);
    return done.stdout;
  }

  /** A folder with the programs of iptables and no other. */
  #iptablesAlone(): string {
    const dir = mkdtempSync(join(this.#dir, 'bin-'));
    for (const name of ['iptables', 'ip6tables', 'iptables-restore', 'ip6tables-restore']) {
      const found = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim();
      symlinkSync(found, join(dir, name));
    }
    return dir;
  }

  async #sign(names: WorkloadNames, csr: string): Promise<ToSidecar> {
    const validUntil = Date.now() + HOUR_MS;
    const publicKey = requestedKey(Buffer.from(csr, 'base64'));
    const leaf = await makeLeaf(this.#issuer, names, { publicKey, notAfter: validUntil });
    const base64 = (made: Made): string => Buffer.from(made.x509.raw).toString('base64');
    return { kind: 'leaf', leaf: base64(leaf), issuer: base64(this.#issuer), validUntil };
  }

  #spawn(namespace: Namespace, uid: number, file: string): ChildProcess {
    const [program, ...words] = [
      ...namespace.exec,
      'setpriv',
      `--reuid=${uid}`,
      `--regid=${uid}`,
      '--clear-groups',
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      script(file),
    ];
    const child = spawn(program, words, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#children.push(child);
    return child;
  }
}

/** Rejects when the process ends instead. */
async function nextMessage<T>(child: ChildProcess): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const onMessage = (message: unknown): void => resolve(message as T);
  const onExit = (code: number | null): void =>
    reject(new Error(`a process of a namespace ended with ${code}`));
  child.once('message', onMessage);
  child.once('exit', onExit);
  try {
    return await promise;
  } finally {
    child.off('message', onMessage);
    child.off('exit', onExit);
  }
}
