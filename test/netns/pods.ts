import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { component, dnsIdentity, port, PROXY_UID, redirectEnv, spiffeId } from '../../api/names.ts';
import type { DefaultInboundPolicy } from '../../api/default-policies.ts';
import type { FakeEndpoint, FakeExport } from '../../proxy/testing/mesh/fake-control-plane.ts';
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
import type { Wire } from './wire/wire.ts';

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
  readonly appPorts?: readonly number[];
  readonly probes?: readonly (readonly [number, readonly string[]])[];
  readonly tools?: Tools;
  /** The sidecar is an ingress controller's. */
  readonly ingress?: boolean;
  /** By default `east`. */
  readonly cluster?: ClusterId;
  /** What holds for ports that no policy names. By default the control plane says that everybody may use them. */
  readonly defaultPolicy?: DefaultInboundPolicy;
  readonly clusterNetworks?: readonly string[];
}

/** A gateway: a namespace without rules. */
export type GatewayPod = Pick<Pod, 'namespace' | 'endpoint' | 'tell'>;

type ClusterId = 'east' | 'west';

/** Pods under one trust anchor on a network of their own. Call `close` at the end, also of a failure. */
export class TestPods {
  readonly network: TestNetwork;
  readonly #dir: string;
  readonly #anchorsFile: string;
  readonly #issuers: Readonly<Record<string, Made>>;
  readonly #children: ChildProcess[] = [];
  /** A test that failed while pods were on their way. */
  #closed = false;
  /** Undefined: a bridge joins them. */
  readonly #wire: Wire | undefined;

  private constructor(
    dir: string,
    anchor: Made,
    issuers: Readonly<Record<ClusterId, Made>>,
    wire: Wire | undefined,
  ) {
    this.#wire = wire;
    this.#dir = dir;
    this.#anchorsFile = join(dir, 'ca-bundle.crt');
    this.#issuers = issuers;
    writeFileSync(this.#anchorsFile, anchor.pem);
    this.network = new TestNetwork(wire === undefined ? 'bridge' : 'tun');
  }

  /** @param wire joins them in place of a bridge */
  static async create(wire?: Wire): Promise<TestPods> {
    const anchor = await makeAnchor();
    const issuers = { east: await makeIssuer(anchor, 'east'), west: await makeIssuer(anchor, 'west') };
    const dir = mkdtempSync(join(tmpdir(), 'isthmus-netns-'));
    // The sidecar runs as another user.
    chmodSync(dir, 0o755);
    return new TestPods(dir, anchor, issuers, wire);
  }

  async close(): Promise<void> {
    this.#closed = true;
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
    const leaf = await makeLeaf(this.#issuerOf(workload('own-tls')), workload('own-tls'));
    return { key: await privateKeyPem(leaf), cert: leaf.pem };
  }

  /** A certificate of the mesh for a client that speaks mesh TLS by itself, as Linkerd's proxy does. */
  async meshCertificate(serviceAccount: string): Promise<{ key: string; cert: string }> {
    const names = workload(serviceAccount);
    const issuer = this.#issuerOf(names);
    const leaf = await makeLeaf(issuer, names);
    return { key: await privateKeyPem(leaf), cert: leaf.pem + issuer.pem };
  }

  /** An app in a namespace. @param uid whose connections the rules tell apart */
  app(namespace: Namespace, uid = APP_UID): App {
    return new App(this.#spawn(namespace, uid, 'app.ts'));
  }

  async pod(serviceAccount: string, host: number, options: PodOptions = {}): Promise<Pod> {
    const { env = {}, opaquePorts = [], probes = [], tools = 'all', ingress = false } = options;
    const { cluster = 'east', appPorts = [], defaultPolicy, clusterNetworks = [] } = options;
    const namespace = await this.#namespace(serviceAccount, host);
    this.redirect(namespace, env, tools);
    const names = workload(serviceAccount, cluster);
    const child = this.#spawn(namespace, PROXY_UID, 'sidecar.ts');
    const { inboundPort: inbound, outboundPort: outbound, adminPort: admin } = redirectConfig(env);
    const ports = { inbound, outbound, admin };
    const where = { names, ip: namespace.ip4, anchorsFile: this.#anchorsFile };
    const own = { opaquePorts, appPorts, probes, ports, ingress, defaultPolicy, clusterNetworks };
    await this.#start(child, { kind: 'start', ...where, ...own });
    return {
      ...told(child, names, namespace, inbound),
      namespace,
      names,
      dnsName: dnsIdentity(names),
      app: this.app(namespace),
      ended: once(child, 'exit').then(([code]) => code as number | null),
    };
  }

  /** The gateway of `east`. */
  async gateway(host: number, exports: FakeExport[]): Promise<GatewayPod> {
    const namespace = await this.#namespace(`${component.gateway}-${host}`, host);
    const names = workload(component.gateway, 'east', 'isthmus');
    const child = this.#spawn(namespace, PROXY_UID, 'sidecar.ts');
    const where = { names, ip: namespace.ip4, anchorsFile: this.#anchorsFile };
    await this.#start(child, { kind: 'start-gateway', ...where, exports });
    return { ...told(child, names, namespace, port.inbound), namespace };
  }

  async #namespace(role: string, host: number): Promise<Namespace> {
    if (this.#closed) throw new Error('the pods are closed');
    const namespace = this.network.namespace(role, host);
    await this.#wire?.attach(namespace);
    return namespace;
  }

  /** Resolves when it is ready, by a certificate of its cluster's. */
  async #start(
    child: ChildProcess,
    start: Extract<ToSidecar, { kind: 'start' | 'start-gateway' }>,
  ): Promise<void> {
    child.send(start);
    for (;;) {
      const message = await nextMessage<FromSidecar>(child);
      if (message.kind === 'ready') return;
      if (message.kind === 'csr') child.send(await this.#sign(start.names, message.csr));
    }
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
    const issuer = this.#issuerOf(names);
    const leaf = await makeLeaf(issuer, names, { publicKey, notAfter: validUntil });
    const base64 = (made: Made): string => Buffer.from(made.x509.raw).toString('base64');
    return { kind: 'leaf', leaf: base64(leaf), issuer: base64(issuer), validUntil };
  }

  #issuerOf({ clusterId }: WorkloadNames): Made {
    const issuer = this.#issuers[clusterId];
    if (issuer === undefined) throw new Error(`there is no cluster ${clusterId}`);
    return issuer;
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
    if (this.#closed) throw new Error('the pods are closed');
    const child = spawn(program, words, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#children.push(child);
    return child;
  }
}

/** How the control plane of its clients knows a process of the data plane, and how its own is told. */
function told(
  child: ChildProcess,
  names: WorkloadNames,
  { ip4 }: Namespace,
  inboundPort: number,
): Pick<Pod, 'endpoint' | 'tell'> {
  const identity = { spiffeId: spiffeId(names), dnsName: dnsIdentity(names) };
  return {
    endpoint: (appPort) => ({ address: ip4, port: appPort, inboundPort, ...identity }),
    async tell(message) {
      const done = nextMessage(child);
      child.send(message);
      await done;
    },
  };
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
