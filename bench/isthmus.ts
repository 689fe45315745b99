import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { component, dnsIdentity, env as variable, port, proxyEnv, spiffeId } from '../api/names.ts';
import type { FakeEndpoint } from '../proxy/testing/mesh/fake-control-plane.ts';
import { freshAddress } from '../test/testing/addresses.ts';
import type { WorkloadNames } from '../workload-identity/index.ts';
import { TRUST_DOMAIN } from '../workload-identity/testing/test-ca.ts';
import type { Build } from './build.ts';
import type { App, Chain } from './chain.ts';
import type { Cluster, Serve, Serving, Told } from './control-plane.ts';
import { message, pidOf, type Processes } from './processes.ts';
import { untilReady } from './readiness.ts';

const SERVICE = 'app.shop:80';
const EXPORTED = 'app.shop.svc.cluster.local:80';
/** ms between two looks whether one is ready. */
const LOOK_MS = 20;

/** What a pair does beside what it always does. */
export interface More {
  /** Further variables of both sidecars. */
  readonly env?: NodeJS.ProcessEnv;
  /** Further names of the app, each `host:port`. */
  readonly authorities?: readonly string[];
}

/** Where a process finds its control plane, and what lets it in there. */
export type Environment = Readonly<Record<string, string>>;

type Names = Told['names'];

/** Our proxies as the image starts them, with certificates of one trust anchor. */
export class Isthmus {
  readonly #processes: Processes;
  readonly #controlPlane: ReturnType<Processes['startNode']>;
  readonly #anchorsFile: string;
  readonly #tokenFile: string;
  #served = 0;

  private constructor(processes: Processes, folder: string) {
    this.#processes = processes;
    this.#anchorsFile = join(folder, 'ca-bundle.crt');
    this.#tokenFile = join(folder, 'token');
    writeFileSync(this.#tokenFile, 'token');
    const file = join(import.meta.dirname, 'control-plane.ts');
    this.#controlPlane = processes.startNode('load', file, [this.#anchorsFile]);
    // Every sidecar waits for an answer of its own.
    this.#controlPlane.setMaxListeners(0);
  }

  /** Makes certificates and starts the control plane; proxies are started case by case. */
  static async create(processes: Processes, folder: string): Promise<Isthmus> {
    const isthmus = new Isthmus(processes, folder);
    await message(isthmus.#controlPlane, 'listening');
    return isthmus;
  }

  /** Two sidecars: HTTP/1.1 with the absolute form in, `isthmus/1` over mutual TLS between them, HTTP/1.1 to the app. */
  async pair(build: Build, app: App, { env = {}, authorities = [] }: More = {}): Promise<Chain> {
    const server = names('server', 'east');
    const serverIp = app.takeHost();
    const endpoint = { ...meshed(server, serverIp), port: app.port };
    const services = [SERVICE, ...authorities].map((authority) => ({ authority, endpoints: [endpoint] }));
    const clientIp = freshAddress();
    // As pods declare their ports.
    const declared = { [proxyEnv.inboundPorts]: String(app.port) };
    const pids = await Promise.all([
      this.#start(build, clientIp, { names: names('client', 'east'), services }, 'proxy', env),
      this.#start(build, serverIp, { names: server, services }, 'proxy', { ...declared, ...env }),
    ]);
    return chain(build.name, clientIp, pids, [clientIp, serverIp]);
  }

  /** A gateway between sidecars of two clusters; it alone counts. */
  async gateway(build: Build, app: App): Promise<Chain> {
    const server = names('server', 'east');
    const serverIp = app.takeHost();
    const door = { ...names(component.gateway, 'east'), namespace: 'isthmus' };
    const doorIp = freshAddress();
    const clientIp = freshAddress();
    const mirror = { ...meshed(door, doorIp), port: port.inbound, authorityOverride: EXPORTED };
    const behind = [{ authority: EXPORTED, endpoints: [{ ...meshed(server, serverIp), port: app.port }] }];
    const exports = [{ namespace: 'shop', name: 'app', ports: [80] }];
    const [, middle] = await Promise.all([
      this.#start(build, clientIp, { names: names('client', 'west'), services: serve([mirror]) }),
      this.#start(build, doorIp, { names: door, services: behind, exports }, 'gateway'),
      this.#start(build, serverIp, { names: server, services: [] }),
    ]);
    return chain(build.name, clientIp, [middle]);
  }

  /** One sidecar before an app that is not meshed. */
  async hop(build: Build, app: App, appPort: number): Promise<Chain> {
    const clientIp = freshAddress();
    const services = serve([{ address: app.takeHost(), port: appPort }]);
    const pid = await this.#start(build, clientIp, { names: names('client', 'east'), services });
    return chain(build.name, clientIp, [pid]);
  }

  /** What a sidecar of that pod is started with. Its control plane answers from now on. */
  async environment(ip: string, told: Told): Promise<Environment> {
    const number = this.#served++;
    const answer = message<Serving>(this.#controlPlane, `serving ${number}`);
    this.#controlPlane.send({ kind: 'serve', number, told } satisfies Serve);
    const { address } = await answer;
    return {
      POD_NAME: `${told.names.serviceAccount}-1`,
      POD_NAMESPACE: told.names.namespace,
      POD_IP: ip,
      SERVICE_ACCOUNT: told.names.serviceAccount,
      [variable.clusterName]: told.names.clusterId,
      [variable.identityAddress]: address,
      [variable.destinationAddress]: address,
      [variable.policyAddress]: address,
      [variable.trustAnchorsFile]: this.#anchorsFile,
      [variable.identityTokenFile]: this.#tokenFile,
      [variable.logLevel]: 'error',
    };
  }

  async #start(
    build: Build,
    ip: string,
    told: Told,
    part: 'proxy' | 'gateway' = 'proxy',
    more: NodeJS.ProcessEnv = {},
  ): Promise<number> {
    const env = await this.environment(ip, told);
    const child = this.#processes.startPart(build, part, { ...env, ...more });
    await untilReady(child, ip, LOOK_MS);
    return pidOf(child);
  }
}

function serve(endpoints: FakeEndpoint[]): Told['services'] {
  return [{ authority: SERVICE, endpoints }];
}

function chain(name: string, host: string, pids: readonly number[], admins: readonly string[] = []): Chain {
  const target = (bytes: number): string => `http://${SERVICE}/${bytes}`;
  return { name, host, port: port.outbound, target, pids, admins };
}

/** Whose certificate a workload of the benchmark has. */
export function names(serviceAccount: string, clusterId: Cluster): Names {
  return {
    serviceAccount,
    namespace: 'shop',
    clusterId,
    meshNamespace: 'isthmus',
    trustDomain: TRUST_DOMAIN,
  };
}

function meshed(who: WorkloadNames, address: string): Omit<FakeEndpoint, 'port'> {
  return { address, inboundPort: port.inbound, spiffeId: spiffeId(who), dnsName: dnsIdentity(who) };
}
