import type { Container, PodSpec } from './kubernetes-types.ts';
import { component } from './names.ts';

/** Paths that the kubelet asks a pod for by HTTP, by port: those of probes `httpGet` of all containers but our own. */
export function probePaths(spec: PodSpec): Map<number, string[]> {
  const paths = new Map<number, string[]>();
  const apps = spec.containers.filter(({ name }) => name !== component.proxy);
  for (const container of [...apps, ...(spec.initContainers ?? []).filter(isAppSidecar)]) {
    for (const probe of [container.startupProbe, container.readinessProbe, container.livenessProbe]) {
      if (probe?.httpGet === undefined) continue;
      const port = probePort(container, probe.httpGet.port);
      const path = pathOf(probe.httpGet.path ?? '/');
      const known = paths.get(port ?? 0) ?? [];
      if (port !== undefined && !known.includes(path)) paths.set(port, [...known, path]);
    }
  }
  return paths;
}

/** A native sidecar that is not ours: the kubelet probes it as any container. */
export function isAppSidecar({ name, restartPolicy }: Container): boolean {
  return restartPolicy === 'Always' && name !== component.proxy;
}

/** As the kubelet asks for it, without the query: a policy's routes are about the path alone. */
function pathOf(text: string): string {
  const path = text.replace(/[?#].*$/, '');
  return path.startsWith('/') ? path : `/${path}`;
}

function probePort(container: Container, port: number | string): number | undefined {
  if (typeof port === 'number') return port;
  return container.ports?.find(({ name }) => name === port)?.containerPort;
}
