import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { component, dnsIdentity, port, spiffeId } from '../api/names.ts';
import { freshAddress } from '../test/testing/addresses.ts';
import type { FakeEndpoint } from '../proxy/testing/mesh/fake-control-plane.ts';
import type { WorkloadNames } from '../workload-identity/index.ts';
import {
  makeAnchor,
  makeIssuer,
  makeLeaf,
  requestedKey,
  TRUST_DOMAIN,
  type Made,
} from '../workload-identity/testing/test-ca.ts';
import type { App, Chain } from './chain.ts';
import type { Certified, SidecarSetup } from './sidecar.ts';
import { message, pidOf, type Processes } from './processes.ts';

const SERVICE = 'app.shop:80';
const EXPORTED = 'app.shop.svc.cluster.local:80';
const DAY_MS = 24 * 3_600_000;
type Cluster = 'east' | 'west';

/** Where the code of a chain comes from. */
export interface Build {
  readonly name: string;
  /** `sidecar.ts`, bundled. */
  readonly file: string;
  readonly nodeArgs: readonly string[];
}

/** What sidecars tell beside what they always do. */
export type Telling = Pick<SidecarSetup, 'env' | 'series'>;

/** Our proxies as processes of their own, with certificates of one trust anchor. */
export class Isthmus {
  readonly #processes: Processes;
  readonly #anchorsFile: string;
  readonly #issuers: Readonly<Record<Cluster, Made>>;

  private constructor(processes: Processes, anchorsFile: string, issuers: Readonly<Record<Cluster, Made>>) {
    this.#processes = processes;
    this.#anchorsFile = anchorsFile;
    this.#issuers = issuers;
  }

  static async create(processes: Processes, folder: string): Promise<Isthmus> {
    const anchor = await makeAnchor();
    const anchorsFile = join(folder, 'ca-bundle.crt');
    writeFileSync(anchorsFile, anchor.pem);
    const [east, west] = [await makeIssuer(anchor, 'east'), await makeIssuer(anchor, 'west')];
    return new Isthmus(processes, anchorsFile, { east, west });
  }

  /** Two sidecars: HTTP/1.1 with the absolute form in, `isthmus/1` over mutual TLS between them, HTTP/1.1 to the app. */
  async pair(build: Build, app: App, more: Telling = {}): Promise<Chain> {
    const server = names('server', 'east');
    const serverIp = app.takeHost();
    const endpoint = { ...meshed(server, serverIp), port: app.port };
    const clientIp = freshAddress();
    const first = this.#start(build, names('client', 'east'), clientIp, {
      service: serve([endpoint]),
      ...more,
    });
    const second = this.#start(build, server, serverIp, { service: serve([]), ...more });
    return chain(build.name, clientIp, [await first, await second], [clientIp, serverIp]);
  }

  /** A gateway between sidecars of two clusters; it alone counts. */
  async gateway(build: Build, app: App): Promise<Chain> {
    const server = names('server', 'east');
    const serverIp = app.takeHost();
    const door = { ...names(component.gateway, 'east'), namespace: 'isthmus' };
    const doorIp = freshAddress();
    const clientIp = freshAddress();
    const mirror = { ...meshed(door, doorIp), port: port.inbound, authorityOverride: EXPORTED };
    const endpoint = { ...meshed(server, serverIp), port: app.port };
    const behind = { authority: EXPORTED, endpoints: [endpoint] };
    const exports = [{ namespace: 'shop', name: 'app', ports: [80] }];
    const outer = this.#start(build, names('client', 'west'), clientIp, { service: serve([mirror]) });
    const middle = this.#start(build, door, doorIp, { part: 'gateway', service: behind, exports });
    const inner = this.#start(build, server, serverIp, { service: serve([]) });
    await Promise.all([outer, inner]);
    return chain(build.name, clientIp, [await middle]);
  }

  /** One sidecar before an app that is not meshed. */
  async hop(build: Build, app: App, appPort: number): Promise<Chain> {
    const clientIp = freshAddress();
    const service = serve([{ address: app.takeHost(), port: appPort }]);
    return chain(build.name, clientIp, [
      await this.#start(build, names('client', 'east'), clientIp, { service }),
    ]);
  }

  async #start(
    build: Build,
    who: WorkloadNames,
    ip: string,
    more: Pick<SidecarSetup, 'service' | 'part' | 'exports'> & Telling,
  ): Promise<number> {
    const child = this.#processes.startNode('proxy', build.file, [], build.nodeArgs);
    const ready = message(child, 'ready');
    certify(child, this.#issuers[who.clusterId === 'west' ? 'west' : 'east'], who);
    child.send({
      kind: 'setup',
      names: who,
      ip,
      anchorsFile: this.#anchorsFile,
      ...more,
    } satisfies SidecarSetup);
    await ready;
    return pidOf(child);
  }
}

function serve(endpoints: FakeEndpoint[]): SidecarSetup['service'] {
  return { authority: SERVICE, endpoints };
}

function chain(name: string, host: string, pids: readonly number[], admins: readonly string[] = []): Chain {
  const target = (bytes: number): string => `http://${SERVICE}/${bytes}`;
  return { name, host, port: port.outbound, target, pids, admins };
}

function names(serviceAccount: string, clusterId: Cluster): WorkloadNames {
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

/** Answers a child's signing request; one that gets no answer is ended, which the starter notices. */
function certify(child: ChildProcess, issuer: Made, who: WorkloadNames): void {
  child.on('message', (request: { kind: string; csr?: string }) => {
    if (request.kind !== 'csr' || request.csr === undefined) return;
    sign(request.csr, issuer, who).then(
      (certified) => child.send(certified),
      () => child.kill(),
    );
  });
}

async function sign(csr: string, issuer: Made, who: WorkloadNames): Promise<Certified> {
  const notAfter = Date.now() + DAY_MS;
  const leaf = await makeLeaf(issuer, who, { publicKey: requestedKey(Buffer.from(csr, 'base64')), notAfter });
  const [der, issuerDer] = [leaf.x509.raw.toString('base64'), issuer.x509.raw.toString('base64')];
  return { kind: 'certified', leaf: der, issuer: issuerDer, notAfter };
}
