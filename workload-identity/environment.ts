import {
  component,
  DEFAULT_CLUSTER_DOMAIN,
  DEFAULT_MESH_NAMESPACE,
  DEFAULT_TRUST_DOMAIN,
  env as name,
  path,
  port,
} from '../api/names.ts';
import type { Clock } from './clock.ts';
import { createResolver, splitHostPort } from './resolver.ts';
import type { Logger } from './types.ts';
import type { WorkloadIdentityOptions } from './workload-identity.ts';

/** Below this folder an embedded cluster's node puts a container's mounts; unset where there are real mounts. */
const VOLUME_ROOT = 'ISTHMUS_VOLUME_ROOT';

/**
 * Options of a workload's identity from the environment that the injector and the installer set (`api/names.ts` `env`).
 * Throws an error that names the variable.
 */
export function workloadIdentityOptionsFromEnv(
  env: NodeJS.ProcessEnv,
  deps: { logger: Logger; clock?: Clock },
): WorkloadIdentityOptions {
  const meshNamespace = optional(env, name.meshNamespace, DEFAULT_MESH_NAMESPACE);
  const clusterDomain = optional(env, name.clusterDomain, DEFAULT_CLUSTER_DOMAIN);
  const root = env[VOLUME_ROOT] ?? '';
  const service = (component_: string, port_: number): string =>
    `${component_}.${meshNamespace}.svc.${clusterDomain}:${port_}`;
  return {
    names: {
      serviceAccount: required(env, name.serviceAccount, 'the ServiceAccount of the pod'),
      namespace: required(env, name.podNamespace, 'the namespace of the pod'),
      meshNamespace,
      trustDomain: optional(env, name.trustDomain, DEFAULT_TRUST_DOMAIN),
      clusterId: required(env, name.clusterName, 'the id of this cluster'),
    },
    podName: required(env, name.podName, 'the name of the pod'),
    anchorsFile: optional(env, name.trustAnchorsFile, root + path.trustRoots),
    certify: {
      kind: 'service',
      address: address(env, name.identityAddress, service(component.identity, port.identity)),
      tokenFile: optional(env, name.identityTokenFile, root + path.identityToken),
    },
    trustBundleAddress: address(
      env,
      name.destinationAddress,
      service(component.destination, port.destination),
    ),
    resolve: createResolver(env),
    localAddress: env[name.podIp] === '' ? undefined : env[name.podIp],
    ...deps,
  };
}

function optional(env: NodeJS.ProcessEnv, variable: string, fallback: string): string {
  const value = env[variable];
  return value === undefined || value === '' ? fallback : value;
}

function required(env: NodeJS.ProcessEnv, variable: string, what: string): string {
  const value = env[variable];
  if (value === undefined || value === '') throw new Error(`${variable} is not set: it must be ${what}`);
  return value;
}

function address(env: NodeJS.ProcessEnv, variable: string, fallback: string): string {
  const value = optional(env, variable, fallback);
  try {
    splitHostPort(value);
  } catch (error) {
    throw new Error(`${variable}: ${(error as Error).message}`, { cause: error });
  }
  return value;
}
