import type { Condition, KubernetesObject, Lease } from '../../api/kubernetes-types.ts';
import { VERSION } from '../../api/names.ts';
import type { Clock } from '../clock.ts';
import { metaTime, microTime } from '../clock.ts';
import { runController } from '../controllers/controller.ts';
import type { ControllerContext, RunningController } from '../controllers/controller.ts';
import type { LoopbackClient, StoredObject } from '../types.ts';
import type { NodeContext } from './node-context.ts';

/** Kubelet's numbers: the lease is renewed every 10 s and lasts 40 s, the status is written every 5 minutes. */
const LEASE_RENEW_MS = 10_000;
const LEASE_SECONDS = 40;
const STATUS_EVERY_MS = 5 * 60_000;
const LEASES = 'leases.coordination.k8s.io';
const LEASE_NAMESPACE = 'kube-node-lease';
/** As many pods as there are addresses for. */
const MAX_PODS = 253;

/** Registers the node, keeps its lease and its status. */
export function runNodeStatus(context: ControllerContext, node: NodeContext): RunningController {
  let statusWritten = 0;
  const controller = runController(context, {
    name: 'node-status',
    sources: [],
    async reconcile() {
      const object = await ensureNode(node);
      if (node.clock.now() - statusWritten >= STATUS_EVERY_MS) {
        const status = nodeStatus(node, object);
        await node.client.update('nodes', { ...object, status } as StoredObject, {
          subresource: 'status',
        });
        statusWritten = node.clock.now();
      }
      await renewLease(node.client, node.clock, object);
      return { againAfterMs: LEASE_RENEW_MS };
    },
  });
  controller.enqueue(node.nodeName);
  return controller;
}

async function ensureNode(node: NodeContext): Promise<StoredObject> {
  const found = node.client.get('nodes', undefined, node.nodeName);
  if (found !== undefined) return found;
  return node.client.create('nodes', {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: node.nodeName,
      labels: {
        'kubernetes.io/hostname': node.nodeName,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': architecture(),
      },
    },
  });
}

function nodeStatus(node: NodeContext, object: StoredObject): Record<string, unknown> {
  const before = (object['status'] ?? {}) as { conditions?: Condition[] };
  const resources = {
    cpu: String(node.cpus),
    memory: `${Math.floor(node.memoryBytes / 1024)}Ki`,
    pods: String(MAX_PODS),
  };
  return {
    ...before,
    capacity: resources,
    allocatable: resources,
    addresses: [
      { type: 'InternalIP', address: node.hostIp },
      { type: 'Hostname', address: node.nodeName },
    ],
    conditions: nodeConditions(before.conditions ?? [], node.clock.now()),
    nodeInfo: {
      machineID: '',
      systemUUID: '',
      bootID: '',
      kernelVersion: '',
      osImage: 'local processes',
      containerRuntimeVersion: `isthmus://${VERSION}`,
      kubeletVersion: 'v1.34.0',
      kubeProxyVersion: '',
      operatingSystem: 'linux',
      architecture: architecture(),
    },
  };
}

function nodeConditions(before: readonly Condition[], now: number): Condition[] {
  const facts: [string, 'True' | 'False', string, string][] = [
    ['MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
    ['DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
    ['PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
    ['Ready', 'True', 'KubeletReady', 'kubelet is posting ready status'],
  ];
  return facts.map(([type, status, reason, message]) => {
    const known = before.find((c) => c.type === type && c.status === status);
    const lastTransitionTime = known?.lastTransitionTime ?? metaTime(now);
    return { type, status, reason, message, lastTransitionTime, lastHeartbeatTime: metaTime(now) };
  });
}

async function renewLease(client: LoopbackClient, clock: Clock, node: StoredObject): Promise<void> {
  const name = node.metadata.name ?? '';
  const lease: KubernetesObject & Lease = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name,
      namespace: LEASE_NAMESPACE,
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name, uid: node.metadata.uid ?? '' }],
    },
    spec: {
      holderIdentity: name,
      leaseDurationSeconds: LEASE_SECONDS,
      renewTime: microTime(clock.now()),
    },
  };
  if (client.get(LEASES, LEASE_NAMESPACE, name) === undefined) await client.create(LEASES, lease);
  else await client.patch(LEASES, LEASE_NAMESPACE, name, { spec: lease.spec });
}

function architecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}
