import type { EnvVar } from './kubernetes-types.ts';
import { component, env, path, port } from './names.ts';

/** What the environment of a part is made from: the install's values. */
export interface PartValues {
  clusterName: string;
  meshNamespace: string;
  clusterDomain: string;
  trustDomain: string;
  logLevel: string;
}

/** An environment variable by the downward API. */
export function downward(name: string, fieldPath: string): EnvVar {
  return { name, valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } } };
}

/** The environment that every part reads (ARCHITECTURE.md 2): who and where it is, and where the control plane is. */
export function partEnv(values: PartValues): EnvVar[] {
  const address = (service: string, servicePort: number): string =>
    `${service}.${values.meshNamespace}.svc.${values.clusterDomain}:${servicePort}`;
  return [
    downward(env.podName, 'metadata.name'),
    downward(env.podNamespace, 'metadata.namespace'),
    downward(env.podIp, 'status.podIP'),
    downward(env.nodeName, 'spec.nodeName'),
    downward(env.serviceAccount, 'spec.serviceAccountName'),
    { name: env.clusterName, value: values.clusterName },
    { name: env.meshNamespace, value: values.meshNamespace },
    { name: env.clusterDomain, value: values.clusterDomain },
    { name: env.trustDomain, value: values.trustDomain },
    { name: env.identityAddress, value: address(component.identity, port.identity) },
    { name: env.destinationAddress, value: address(component.destination, port.destination) },
    { name: env.policyAddress, value: address(component.policy, port.policy) },
    { name: env.trustAnchorsFile, value: path.trustRoots },
    { name: env.identityTokenFile, value: path.identityToken },
    { name: env.logLevel, value: values.logLevel },
  ];
}
