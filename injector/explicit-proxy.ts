import type { Container, EnvVar } from '../api/kubernetes-types.ts';
import { env, port } from '../api/names.ts';
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

const PROXY_URL = `http://${POD_IP_REFERENCE}:${port.outbound}`;

/**
 * Tells an app container of its sidecar. What the user set stays, in either case of letters: a client that heeds both would be told two things.
 */
export function withExplicitProxy(container: Container, apiServerHost: string | undefined): Container {
  const own = container.env ?? [];
  const set = new Set(own.map(({ name }) => name.toLowerCase()));
  const noProxy = [
    POD_IP_REFERENCE,
    apiServerHost ?? '$(KUBERNETES_SERVICE_HOST)',
    'kubernetes.default.svc',
    'localhost',
    '127.0.0.1',
  ].join(',');
  const added: EnvVar[] = [
    ...PROXY_VARIABLES.map((name) => ({ name, value: PROXY_URL })),
    { name: 'NODE_USE_ENV_PROXY', value: '1' },
    { name: 'NO_PROXY', value: noProxy },
    { name: 'no_proxy', value: noProxy },
  ].filter(({ name }) => !set.has(name.toLowerCase()));
  const podIp = own.some(({ name }) => name === env.podIp) ? [] : [downward(env.podIp, 'status.podIP')];
  return { ...container, env: [...podIp, ...own, ...added] };
}

/** Takes out what `withExplicitProxy` put in; a proxy that the user named stays. */
export function withoutExplicitProxy(container: Container): Container {
  const variables = container.env ?? [];
  if (!variables.some(({ value }) => value === PROXY_URL)) return container;
  const ours = ({ name, value }: EnvVar): boolean =>
    value === PROXY_URL ||
    (name === 'NODE_USE_ENV_PROXY' && value === '1') ||
    (name.toLowerCase() === 'no_proxy' && value?.startsWith(`${POD_IP_REFERENCE},`) === true);
  return { ...container, env: variables.filter((variable) => !ours(variable)) };
}
