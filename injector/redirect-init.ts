import type { Container, EnvVar } from '../api/kubernetes-types.ts';
import { component, env, PROXY_UID, redirectEnv } from '../api/names.ts';
import type { ProxyConfig } from './annotations.ts';
import type { InjectionContext } from './context.ts';

/**
 * The init container that turns the pod's connections to its sidecar (`redirect/`). It alone leaves the restricted Pod Security standard: rules belong to whoever
 * has NET_ADMIN in the pod's network.
 */
export function redirectContainer(context: InjectionContext, config: ProxyConfig): Container {
  return {
    name: component.redirect,
    image: config.image ?? context.image,
    ...(context.imagePullPolicy === undefined ? {} : { imagePullPolicy: context.imagePullPolicy }),
    args: ['redirect'],
    env: [
      { name: env.logLevel, value: config.logLevel ?? context.logLevel },
      { name: redirectEnv.proxyUid, value: config.proxyUid ?? String(PROXY_UID) },
      ...given(redirectEnv.skipInboundPorts, config.skipInboundPorts),
      ...given(redirectEnv.skipOutboundPorts, config.skipOutboundPorts),
      ...given(redirectEnv.skipSubnets, config.skipSubnets),
    ],
    // As Linkerd's: the scheduler adds the largest init container's requests, not their sum.
    resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { cpu: '100m', memory: '128Mi' } },
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] },
      readOnlyRootFilesystem: true,
      runAsNonRoot: false,
      runAsUser: 0,
      runAsGroup: 0,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    terminationMessagePolicy: 'FallbackToLogsOnError',
  };
}

function given(name: string, value: string | undefined): EnvVar[] {
  return value === undefined || value === '' ? [] : [{ name, value }];
}
