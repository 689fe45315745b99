import type { Namespace, Service } from '../api/kubernetes-types.ts';
import { annotation } from '../api/names.ts';
import type { ClusterReader } from './cluster-state.ts';
import { untold } from './policy/problems.ts';
import { isOpaqueProtocol, serverProtocol } from './policy/server-protocol.ts';
import { serverOf } from './policy/server-selection.ts';
import { hasPort, parsePortSet, type PortSet } from './port-set.ts';
import { declaredProtocol, servicePort } from './service-port.ts';
import type { WorkloadPod } from './workload-pod.ts';

/** Text of an object's own annotation; ours goes before Linkerd's. An empty one counts: it says "no port". */
function opaqueAnnotation(annotations: Readonly<Record<string, string>> | undefined): string | undefined {
  return annotations?.[annotation.isthmusOpaquePorts] ?? annotations?.[annotation.opaquePorts];
}

/** The opaque ports that hold for an object: its own annotation, else its namespace's, else the mesh's list. */
function opaquePorts(
  own: Readonly<Record<string, string>> | undefined,
  namespace: Namespace | undefined,
  defaults: readonly number[],
): PortSet {
  const text = opaqueAnnotation(own) ?? opaqueAnnotation(namespace?.metadata?.annotations);
  if (text !== undefined) return parsePortSet(text).ports;
  return { ranges: defaults.map((port) => [port, port] as const), names: new Set() };
}

/** Whether a Service's port is opaque: no protocol detection, bytes as they come. What the port itself says goes before lists of ports. */
export function isOpaqueServicePort(
  service: Service,
  namespace: Namespace | undefined,
  port: number,
  defaults: readonly number[],
): boolean {
  const declared = declaredProtocol(service, port);
  if (declared !== undefined) return declared === 'opaque';
  const { name } = servicePort(service, port) ?? {};
  return hasPort(opaquePorts(service.metadata?.annotations, namespace, defaults), port, name);
}

/** Whether a pod's port is opaque: as a Server for it says, else by annotations; of an unknown pod, whether its namespace says so. */
export function isOpaquePodPort(
  pod: WorkloadPod | undefined,
  namespace: Namespace | undefined,
  port: number,
  defaults: readonly number[],
  cluster: ClusterReader,
): boolean {
  const server = pod === undefined ? undefined : serverOf(pod, port, cluster);
  if (server !== undefined) return isOpaqueProtocol(serverProtocol(server, untold));
  return hasPort(opaquePorts(pod?.annotations, namespace, defaults), port, pod?.portNames.get(port));
}
