import { component } from '../api/names.ts';
import {
  causes,
  FieldId,
  isGateway,
  readAuthority,
  type Cause,
  type Claim,
  type Head,
  type MeshClient,
} from '../proxy/index.ts';
import type { WorkloadNames } from '../workload-identity/index.ts';
import type { ExportTable } from './exports.ts';
import { cameBy } from './forwarded.ts';

/**
 * All rules of the gateway over who reaches what. They are pure. There are two questions: may this client have anything
 * at all (asked once a connection, which belongs to one client for its whole life), and is the target to be had.
 */
export function admitClient(client: MeshClient, own: WorkloadNames): Cause | undefined {
  if (isGateway(client.peer, own)) return causes.gatewayLoop;
  return isForeign(client, own) ? undefined : causes.unauthorized;
}

/** A target that is not exported is "not there" (404), also when it exists: the answer tells nothing of what the cluster runs. */
export function admitTarget(target: string | undefined, exports: ExportTable): Cause | undefined {
  if (target === undefined) return causes.noSuchTarget;
  const verdict = exports.decide(target);
  if (verdict === 'mirror') return causes.gatewayLoop;
  return verdict === 'exported' ? undefined : causes.notExported;
}

/**
 * The gateway is the door for other clusters. Workloads of its own cluster reach services directly, where policies see
 * who they are. Through the gateway they would come on the gateway's connection, and nobody believes it what it says of
 * clients of its own cluster. A client without a SPIFFE ID (Linkerd's) names no cluster, so nothing can be said of it.
 */
function isForeign(client: MeshClient, own: WorkloadNames): boolean {
  const { workload } = client.peer;
  return (
    workload !== undefined && workload.trustDomain === own.trustDomain && workload.clusterId !== own.clusterId
  );
}

/**
 * What a client may take of the last places of a full gateway. A mirror controller of any cluster may take any of
 * them: it would take a gateway that does not answer for dead, and send all clients of its cluster elsewhere. Nobody
 * gives way to a client that would be refused whatever it asks for.
 */
export function claimOf(client: MeshClient, own: WorkloadNames): Claim {
  if (isProber(client.peer.workload, own)) return 'any';
  return admitClient(client, own) === undefined ? 'gives-way' : 'none';
}

function isProber(client: MeshClient['peer']['workload'], own: WorkloadNames): boolean {
  return (
    client !== undefined &&
    client.trustDomain === own.trustDomain &&
    client.namespace === own.meshNamespace &&
    client.serviceAccount === component.mirrorController
  );
}

/** Did the request come through this gateway before? */
export function isLoop(head: Head, gateway: string): boolean {
  for (let i = head.find(FieldId.forwarded); i >= 0; i = head.find(FieldId.forwarded, i + 1)) {
    if (cameBy(head.value(i), gateway)) return true;
  }
  return false;
}

/** `<svc>.<ns>.svc.<cluster domain>:<port>` in lower case; undefined when it has another form. Own ports of proxies are no services. */
export function readTarget(text: string | undefined): string | undefined {
  const authority = text === undefined ? undefined : readAuthority(text, undefined);
  return typeof authority === 'string' ? authority : undefined;
}
