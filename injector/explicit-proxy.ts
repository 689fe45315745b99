import type { Container, EnvVar } from '../api/kubernetes-types.ts';
import { env } from '../api/names.ts';
import { downward } from '../api/part-env.ts';

/** Expanded by the kubelet: a variable must stand before those that name it. */
const POD_IP_REFERENCE = `$(${env.podIp})`;

/** Variables by which HTTP clients learn of a proxy; which client heeds which is a table in the documentation. */
const PROXY_VARIABLES: readonly string[] = [
  'http_proxy',
  'HTTP_PROXY',
  'https_proxy',
  'HTTPS_PROXY',
  'grpc_proxy',
];

/** The kubelet tells every container where the API server is: it is no business of the mesh. */
const NO_PROXY = [
  POD_IP_REFERENCE,
  '$(KUBERNETES_SERVICE_HOST)',
  'kubernetes.default.svc',
  'localhost',
  '127.0.0.1',
].join(',');

function proxyUrl(outboundPort: number | string): string {
  return `http://${POD_IP_REFERENCE}:${outboundPort}`;
}

/**
 * Tells an app container of its sidecar. What the user set stays, in either case of letters: a client that heeds both would be told two things.
 */
export function withExplicitProxy(container: Container, outboundPort: number): Container {
  const own = container.env ?? [];
  const set = new Set(own.map(({ name }) => name.toLowerCase()));
  const added: EnvVar[] = [
    ...PROXY_VARIABLES.map((name) => ({ name, value: proxyUrl(outboundPort) })),
    { name: 'NODE_USE_ENV_PROXY', value: '1' },
    { name: 'NO_PROXY', value: NO_PROXY },
    { name: 'no_proxy', value: NO_PROXY },
  ].filter(({ name }) => !set.has(name.toLowerCase()));
  const podIp = own.some(({ name }) => name === env.podIp) ? [] : [downward(env.podIp, 'status.podIP')];
  return { ...container, env: [...podIp, ...own, ...added] };
}

/** Takes out what `withExplicitProxy` put in; a proxy that the user named stays. */
export function withoutExplicitProxy(container: Container): Container {
  const variables = container.env ?? [];
  const isProxyUrl = (value: string | undefined): boolean =>
    value?.startsWith(proxyUrl('')) === true && /:\d+$/.test(value);
  if (!variables.some(({ value }) => isProxyUrl(value))) return container;
  const ours = ({ name, value }: EnvVar): boolean =>
    isProxyUrl(value) ||
    (name === 'NODE_USE_ENV_PROXY' && value === '1') ||
    (name.toLowerCase() === 'no_proxy' && value === NO_PROXY);
  return { ...container, env: variables.filter((variable) => !ours(variable)) };
}
