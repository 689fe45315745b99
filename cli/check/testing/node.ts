import type { Lease } from '../../../api/kubernetes-types.ts';
import type { Node } from '../../../api/kubernetes-types.ts';

/** A Lease's time, `agoMs` ago. */
export function renewed(agoMs: number): string {
  return new Date(Date.now() - agoMs).toISOString().replace('Z', '000Z');
}

/** A node that is ready, with its Lease as a kubelet writes it. */
export function nodeWithLease(
  name: string,
  kubeletVersion: string,
  renewedAgoMs: number,
): { node: Node; lease: Lease } {
  const lastHeartbeatTime = new Date().toISOString();
  return {
    node: {
      metadata: { name },
      status: {
        conditions: [Object.assign({ type: 'Ready', status: 'True' }, { lastHeartbeatTime })],
        nodeInfo: { kubeletVersion },
      },
    },
    lease: {
      metadata: { name, namespace: 'kube-node-lease' },
      spec: { holderIdentity: name, leaseDurationSeconds: 40, renewTime: renewed(renewedAgoMs) },
    },
  };
}
