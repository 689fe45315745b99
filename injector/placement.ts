import type { Container, PodSpec } from '../api/kubernetes-types.ts';
import { withExplicitProxy } from './explicit-proxy.ts';
import { redirectContainer } from './redirect-init.ts';
import { sidecarContainer, sidecarVolumes, startupProbe } from './sidecar.ts';
import type { SidecarPlan } from './sidecar-plan.ts';

/** The pod's spec with its sidecar in the place where it works: before the init containers, or beside the app's. */
export function withSidecar(spec: PodSpec, plan: SidecarPlan): PodSpec {
  const told = (container: Container): Container =>
    plan.context.proxyMode === 'explicit' ? withExplicitProxy(container, plan.ports.outbound) : container;
  const rules = plan.context.proxyMode === 'redirect' ? [redirectContainer(plan)] : [];
  const sidecar = sidecarContainer(plan);
  const own = spec.initContainers ?? [];
  const apps = spec.containers.map(told);
  const volumes = [...(spec.volumes ?? []), ...sidecarVolumes()];
  if (plan.native) {
    const native: Container = {
      ...sidecar,
      restartPolicy: 'Always',
      ...(plan.awaits ? { startupProbe: startupProbe(plan) } : {}),
    };
    // First, so that the other init containers have the mesh as well; the rules before the sidecar, whose own connections they leave alone.
    return {
      ...spec,
      initContainers: [...rules, native, ...own.map(told)],
      containers: apps,
      volumes,
    };
  }
  return {
    ...spec,
    // Init containers run while there is no sidecar: before the rules they reach the network by themselves.
    ...(own.length + rules.length === 0 ? {} : { initContainers: [...own, ...rules] }),
    // The kubelet starts containers in their order, and waits for a hook of one before it starts the next.
    containers: plan.awaits ? [sidecar, ...apps] : [...apps, sidecar],
    volumes,
  };
}
