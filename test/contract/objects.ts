import type { Json } from './json.ts';

export function configMap(name: string, data: Record<string, string> = {}, metadata: Json = {}): Json {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data };
}

/** A pod that stays pending: no scheduler has this name. */
export function pod(name: string, spec: Json = {}, metadata: Json = {}): Json {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, ...metadata }, spec: { ...podSpec(), ...spec } };
}

function podSpec(): Json {
  return {
    schedulerName: 'nobody',
    automountServiceAccountToken: false,
    containers: [{ name: 'app', image: 'contract.invalid/app:1' }],
  };
}

/** A Deployment whose pods stay pending. */
export function deployment(name: string, spec: Json = {}, metadata: Json = {}): Json {
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, ...metadata },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: podSpec() },
      ...spec,
    },
  };
}

export function service(name: string, spec: Json = {}): Json {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } };
}

/** Addresses for benchmarks (RFC 2544): nothing is there, and every server accepts them. */
export function endpointSlice(name: string, addresses: readonly string[] = ['198.18.0.1']): Json {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name },
    addressType: 'IPv4',
    endpoints: [{ addresses, conditions: { ready: true } }],
    ports: [{ name: 'http', port: 8080 }],
  };
}
