import type { Service, ServicePort } from '../api/kubernetes-types.ts';

/** What a Service's port says of what is spoken there. */
export type DeclaredProtocol = 'http' | 'opaque';

/**
 * Values of `appProtocol` that are HTTP, in lower case: Kubernetes' own, IANA's, and what other meshes have users
 * write. Each connection still shows which HTTP it is.
 */
const HTTP: ReadonlySet<string> = new Set([
  'http',
  'http2',
  'grpc',
  'grpc-web',
  'kubernetes.io/h2c',
  'kubernetes.io/grpc',
  'kubernetes.io/ws',
]);

/** The Service's port of that number; one of UDP may have the same. */
export function servicePort(service: Service, number: number): ServicePort | undefined {
  return service.spec?.ports?.find(({ port, protocol = 'TCP' }) => port === number && protocol === 'TCP');
}

/** By `appProtocol`; undefined: it says nothing. What is not known to be HTTP is opaque, as with Linkerd (`linkerd.io/opaque`, and any other). */
export function declaredProtocol(service: Service, number: number): DeclaredProtocol | undefined {
  const declared = servicePort(service, number)?.appProtocol?.toLowerCase();
  if (declared === undefined || declared === '') return undefined;
  return HTTP.has(declared) ? 'http' : 'opaque';
}
