import type { Container, EnvVar } from '../api/kubernetes-types.ts';
import { component, env, redirectEnv } from '../api/names.ts';
import type { SidecarPlan } from './sidecar-plan.ts';

/**
 * The init container that turns the pod's connections to its sidecar (`redirect/`). It alone leaves the restricted Pod
 * Security standard: rules belong to whoever has NET_ADMIN in the pod's network.
 */
export function redirectContainer(plan: SidecarPlan): Container {
  const { config, ports } = plan;
  return {
    name: component.redirect,
    image: plan.image,
    imagePullPolicy: plan.imagePullPolicy,
    args: ['redirect'],
    env: [
      { name: env.logLevel, value: plan.logLevel },
      { name: redirectEnv.proxyUid, value: String(plan.uid) },
      { name: redirectEnv.inboundPort, value: String(ports.inbound) },
      { name: redirectEnv.outboundPort, value: String(ports.outbound) },
      { name: redirectEnv.adminPort, value: String(ports.admin) },
      ...given(redirectEnv.skipInboundPorts, config.skipInboundPorts),
      ...given(redirectEnv.skipOutboundPorts, config.skipOutboundPorts),
      ...given(redirectEnv.skipSubnets, config.skipSubnets),
    ],
    // Those of the sidecar, so that it changes neither what the scheduler reserves (the largest init container counts, not the sum) nor the pod's QoS class.
    resources: plan.resources,
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
