import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dnsIdentity, port, spiffeId } from '../api/names.ts';
import { freshAddress } from '../proxy/testing/mesh/test-mesh.ts';
import type { WorkloadNames } from '../workload-identity/index.ts';
import {
  makeAnchor,
  makeIssuer,
  makeLeaf,
  requestedKey,
  TRUST_DOMAIN,
  type Made,
} from '../workload-identity/testing/test-ca.ts';
import type { Pair, PairOptions } from './pair.ts';
import { message, pidOf, type Processes } from './processes.ts';
import type { Certified, SidecarSetup } from './sidecar.ts';

const SERVICE = 'app.shop:80';
const DAY_MS = 24 * 3_600_000;

/** Two sidecars: HTTP/1.1 with the absolute form in, `isthmus/1` over mutual TLS between them, HTTP/1.1 to the app. */
export async function isthmusPair(
  processes: Processes,
  { folder, appPort }: PairOptions,
  serverIp: string,
  nodeArgs: readonly string[],
): Promise<Pair> {
  const anchor = await makeAnchor();
  const issuer = await makeIssuer(anchor, 'east');
  const anchorsFile = join(folder, 'ca-bundle.crt');
  writeFileSync(anchorsFile, anchor.pem);
  const clientIp = freshAddress();
  const server = names('server');
  const endpoint = {
    address: serverIp,
    port: appPort,
    inboundPort: port.inbound,
    spiffeId: spiffeId(server),
    dnsName: dnsIdentity(server),
  };
  const service = { authority: SERVICE, endpoints: [endpoint] };
  const start = async (who: WorkloadNames, ip: string): Promise<number> => {
    const child = processes.startNode('proxy', 'sidecar.ts', [], nodeArgs);
    const ready = message(child, 'ready');
    certify(child, issuer, who);
    child.send({ kind: 'setup', names: who, ip, anchorsFile, service } satisfies SidecarSetup);
    await ready;
    return pidOf(child);
  };
  return {
    name: 'isthmus',
    host: clientIp,
    port: port.outbound,
    target: (bytes) => `http://${SERVICE}/${bytes}`,
    pids: [await start(names('client'), clientIp), await start(server, serverIp)],
  };
}

function names(serviceAccount: string): WorkloadNames {
  return {
    serviceAccount,
    namespace: 'shop',
    clusterId: 'east',
    meshNamespace: 'isthmus',
    trustDomain: TRUST_DOMAIN,
  };
}

/** Answers a sidecar's signing request; a child that gets no answer is ended, which the starter notices. */
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
