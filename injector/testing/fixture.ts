import type { Pod } from '../../api/kubernetes-types.ts';
import { DEFAULT_OPAQUE_PORTS } from '../../api/names.ts';
import type { InjectionContext } from '../context.ts';

export const context: InjectionContext = {
  clusterName: 'east',
  clusterDomain: 'cluster.local',
  trustDomain: 'cluster.local',
  meshNamespace: 'isthmus',
  image: 'isthmus.dev/isthmus:test',
  imagePullPolicy: 'IfNotPresent',
  proxyMode: 'explicit',
  defaultInboundPolicy: 'all-unauthenticated',
  opaquePorts: DEFAULT_OPAQUE_PORTS,
  clusterNetworks: ['10.0.0.0/8'],
  logLevel: 'info',
  telemetry: {},
  resources: { cpuRequest: '10m', memoryRequest: '64Mi' },
  ignoreLinkerdAnnotation: false,
};

export function pod(annotations?: Record<string, string>, more: Partial<NonNullable<Pod['spec']>> = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: 'web-', ...(annotations === undefined ? {} : { annotations }) },
    spec: { containers: [{ name: 'app', image: 'app:1' }], ...more },
  };
}

/** A namespace as the injector sees it. */
export function namespace(annotations: Record<string, string> = {}, name = 'shop') {
  return { name, metadata: { name, annotations } };
}

/** Applies the `add` operations that the injector makes, as RFC 6902 says. */
export function applyPatch<T>(object: T, patch: readonly { op: 'add'; path: string; value: unknown }[]): T {
  const result = structuredClone(object) as Record<string, unknown>;
  for (const { path, value } of patch) {
    const keys = path.split('/').slice(1);
    const last = keys.pop() ?? '';
    let parent = result;
    for (const key of keys) {
      const child = parent[key];
      if (typeof child !== 'object' || child === null)
        throw new Error(`${path}: there is no ${key} to add to`);
      parent = child as Record<string, unknown>;
    }
    parent[last] = value;
  }
  return result as T;
}
