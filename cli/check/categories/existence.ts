import { BlockList, isIPv6 } from 'node:net';
import { component } from '../../../api/names.ts';
import { type Check, error, none, ok, type Verdict, warning } from '../check.ts';
import { type Facts, nameOf } from '../facts.ts';

/** Services by which components are found, with the names under which people know them. */
const SERVICES = [
  component.identity,
  component.destination,
  component.policy,
  component.injector,
  component.gateway,
];

/** Whether the mesh is there and runs. */
export const existenceChecks: readonly Check[] = [
  {
    id: 'mesh-config',
    category: 'isthmus-existence',
    stage: 'installed',
    description: "'isthmus-config' config map exists",
    fatal: true,
    run: async (facts) => {
      await facts.values();
      return ok;
    },
  },
  {
    id: 'mesh-scheduled',
    category: 'isthmus-existence',
    stage: 'installed',
    description: 'no unschedulable pods',
    waits: true,
    run: async (facts) => {
      const stuck = (await facts.componentPods()).flatMap((pod) => {
        const scheduled = pod.status?.conditions?.find((c) => c.type === 'PodScheduled');
        return scheduled?.status === 'False' ? [`${nameOf(pod)}: ${scheduled.message ?? ''}`] : [];
      });
      return none('error', 'the cluster has no place for', stuck);
    },
  },
  available('control-plane-ready', component.controlPlane, 'control plane pods are ready'),
  available('mirror-controller-ready', component.mirrorController, 'mirror controller pods are ready'),
  available('gateway-ready', component.gateway, 'gateway pods are ready'),
  {
    id: 'mesh-services',
    category: 'isthmus-existence',
    stage: 'installed',
    description: "the components' Services have ready endpoints",
    waits: true,
    run: serviceEndpoints,
  },
  {
    id: 'cluster-networks',
    category: 'isthmus-existence',
    stage: 'installed',
    description: 'cluster networks contain all pods',
    run: clusterNetworks,
  },
];

function available(id: string, name: string, description: string): Check {
  return {
    id,
    category: 'isthmus-existence',
    stage: 'installed',
    description,
    waits: true,
    run: async (facts) => {
      const { spec, status, metadata } = await facts.deployment(name);
      const wanted = spec?.replicas ?? 1;
      const ready = status?.availableReplicas ?? 0;
      if (wanted === 0) return error(`Deployment ${name} is scaled to 0 replicas`);
      if (ready === 0) return error(`Deployment ${name}: none of ${wanted} replicas is available`);
      if (ready < wanted) return warning(`Deployment ${name}: ${ready} of ${wanted} replicas are available`);
      const isRolling =
        (status?.observedGeneration ?? 0) < (metadata?.generation ?? 0) ||
        (status?.updatedReplicas ?? 0) < wanted;
      return isRolling ? warning(`Deployment ${name} is being rolled out`) : ok;
    },
  };
}

async function serviceEndpoints(facts: Facts): Promise<Verdict> {
  const slices = await facts.endpointSlices(facts.meshNamespace);
  const services = await facts.services();
  const problems = SERVICES.flatMap((name) => {
    const isThere = services.some(
      ({ metadata }) => metadata?.namespace === facts.meshNamespace && metadata.name === name,
    );
    if (!isThere) return [`${name}: there is no such Service`];
    const endpoints = slices
      .filter(({ metadata }) => metadata?.labels?.['kubernetes.io/service-name'] === name)
      .flatMap((slice) => slice.endpoints ?? []);
    return endpoints.some(({ conditions }) => conditions?.ready !== false)
      ? []
      : [`${name}: no ready endpoint`];
  });
  return none('error', 'components do not find', problems);
}

/** Policies for the cluster's own clients go by these networks: a pod outside them is taken for a stranger. */
async function clusterNetworks(facts: Facts): Promise<Verdict> {
  const networks = new BlockList();
  for (const cidr of (await facts.values()).clusterNetworks) {
    const [address = '', bits = ''] = cidr.split('/');
    networks.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4');
  }
  const outside = (await facts.pods()).flatMap((pod) => {
    const ip = pod.status?.podIP;
    if (ip === undefined || ip === '' || pod.spec?.hostNetwork === true) return [];
    return networks.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4') ? [] : [`${nameOf(pod)}: ${ip}`];
  });
  return none('warning', 'outside of the clusterNetworks of the installation', outside);
}
