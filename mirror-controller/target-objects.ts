import { endpointState } from '../api/endpoint-conditions.ts';
import type { EndpointSlice, Namespace, Service } from '../api/kubernetes-types.ts';
import { annotation, GATEWAY_PORT_NAME, label } from '../api/names.ts';
import { keepOnly } from '../kubernetes/keep-only.ts';
import { keyOf } from '../kubernetes/object-key.ts';
import type { GatewayService } from './messages.ts';

/** What a link's thread keeps and reads of the target's objects. */

/** How a target's gateway is reached from outside: by its load balancer, or by nodes' addresses where it has none. */
export function gatewayOf(service: Service | undefined): GatewayService | undefined {
  if (service === undefined) return undefined;
  const ingress = service.status?.loadBalancer?.ingress ?? [];
  const addresses = ingress.map((i) => i.ip ?? i.hostname).filter((a) => a !== undefined && a !== '');
  const { port, nodePort } = service.spec?.ports?.find((p) => p.name === GATEWAY_PORT_NAME) ?? {};
  const nodes = service.metadata?.annotations?.[annotation.gatewayNodes]?.split(',') ?? [];
  if (addresses.length === 0 && nodes.length > 0 && nodePort !== undefined) {
    return { addresses: nodes, port: nodePort };
  }
  return { addresses: addresses as string[], port };
}

/** Keys of the Service that a slice belongs to: one or none. */
export function sliceService({ metadata }: EndpointSlice): string[] {
  const service = metadata?.labels?.[label.sliceServiceName];
  return service === undefined ? [] : [keyOf(metadata?.namespace, service)];
}

/**
 * Of a target's slices only whether there is anything to send to matters; a large service has hundreds of endpoints in
 * each.
 */
export function slimSlice(slice: EndpointSlice): EndpointSlice {
  const service = slice.metadata?.labels?.[label.sliceServiceName];
  return {
    metadata: {
      ...keepOnly(slice.metadata ?? {}, ['name', 'namespace', 'uid', 'resourceVersion']),
      ...(service === undefined ? {} : { labels: { [label.sliceServiceName]: service } }),
    },
    addressType: slice.addressType,
    endpoints: hasEndpoint(slice) ? [{ addresses: [], conditions: { ready: true } }] : [],
  };
}

/** Endpoints that are being ended and still answer count: the gateway sends to them while there is no ready one. */
export function hasEndpoint(slice: EndpointSlice): boolean {
  return (slice.endpoints ?? []).some((entry) => endpointState(entry) !== undefined);
}

/** Of a namespace only whether it is on its way out matters. */
export function slimNamespace({ metadata, status }: Namespace): Namespace {
  return {
    metadata: keepOnly(metadata ?? {}, ['name', 'uid', 'resourceVersion']),
    ...(status?.phase === undefined ? {} : { status: { phase: status.phase } }),
  };
}

/** It is there, and not on its way out. */
export function isActive(namespace: Namespace | undefined): boolean {
  return namespace !== undefined && namespace.status?.phase !== 'Terminating';
}
