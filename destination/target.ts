import { isIPv6 } from 'node:net';

import { GrpcError, grpcStatus } from '../workload-identity/index.ts';
import { canonicalIp } from './ip-address.ts';

/** A Service, by name and port; with `hostname`, one pod of a headless Service. */
export interface ServiceTarget {
  kind: 'service';
  namespace: string;
  name: string;
  hostname?: string;
  port: number;
  /**
   * False for `a.b`, which may be Service `a` in namespace `b` or a host name of the world outside: it counts as a
   * Service only where such a namespace exists.
   */
  certain: boolean;
}

export interface AddressTarget {
  kind: 'address';
  /** Canonical. */
  ip: string;
  port: number;
}

export type Target = ServiceTarget | AddressTarget;

/** Linkerd's default for a path without a port. */
const DEFAULT_PORT = 80;

/** RFC 1123 label, the widest of what Kubernetes takes for Services, namespaces and host names. */
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/**
 * Reads the path of a GetDestination: `ip:port`, `name:port`. A short name is resolved as a pod's resolver would: in `namespace`.
 * Throws InvalidArgument for what can't be a Service of this cluster, as Linkerd does; the proxy then goes to the name itself.
 */
export function parseTarget(path: string, clusterDomain: string, namespace: string | undefined): Target {
  const { host, port } = splitPort(path);
  const ip = canonicalIp(host);
  if (ip !== undefined) return { kind: 'address', ip, port };
  const labels = serviceLabels(host, clusterDomain, namespace, path);
  if (!labels.parts.every((part) => DNS_LABEL.test(part))) {
    throw notAService(path, 'its labels are not DNS labels');
  }
  const [first = '', second = '', third] = labels.parts;
  if (third === undefined) {
    return { kind: 'service', name: first, namespace: second, port, certain: labels.certain };
  }
  return { kind: 'service', hostname: first, name: second, namespace: third, port, certain: labels.certain };
}

function splitPort(path: string): { host: string; port: number } {
  const bracketed = /^\[([^\]]+)\](?::(.*))?$/.exec(path);
  if (bracketed !== null) return { host: bracketed[1] ?? '', port: parsePort(bracketed[2], path) };
  if (isIPv6(path)) return { host: path, port: DEFAULT_PORT };
  const colon = path.indexOf(':');
  if (colon < 0) return { host: path, port: DEFAULT_PORT };
  return { host: path.slice(0, colon), port: parsePort(path.slice(colon + 1), path) };
}

function parsePort(text: string | undefined, path: string): number {
  if (text === undefined) return DEFAULT_PORT;
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) {
    throw new GrpcError(grpcStatus.invalidArgument, `"${path}": the port must be a number from 1 to 65535`);
  }
  return port;
}

/** The labels `[hostname,] service, namespace` of a name. */
function serviceLabels(
  host: string,
  clusterDomain: string,
  namespace: string | undefined,
  path: string,
): { parts: string[]; certain: boolean } {
  const name = host.toLowerCase().replace(/\.$/, '');
  const inDomain = withoutSuffix(name, `.svc.${clusterDomain}`) ?? withoutSuffix(name, '.svc');
  if (inDomain !== undefined) {
    const parts = inDomain.split('.');
    if (parts.length === 2 || parts.length === 3) return { parts, certain: true };
    throw notAService(path, 'before ".svc" it must be <service>.<namespace>');
  }
  const parts = name.split('.');
  if (parts.length === 2) return { parts, certain: false };
  if (parts.length === 1 && name !== 'localhost') {
    if (namespace !== undefined) return { parts: [name, namespace], certain: true };
    throw notAService(path, 'a short name needs the namespace of the caller in the context token');
  }
  throw notAService(path, `it is outside the cluster domain ${clusterDomain}`);
}

function withoutSuffix(text: string, suffix: string): string | undefined {
  return text.endsWith(suffix) ? text.slice(0, -suffix.length) : undefined;
}

function notAService(path: string, why: string): GrpcError {
  return new GrpcError(grpcStatus.invalidArgument, `"${path}" does not name a Service: ${why}`);
}
