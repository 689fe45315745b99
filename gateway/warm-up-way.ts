import {
  endpointOf,
  freePorts,
  secondSidecar,
  unseen,
  WARM_UP_SERVICE,
  WarmUpControlPlane,
  warmUpOptions,
  type MakeWarmUpWay,
  type MeshConfig,
} from '../proxy/index.ts';
import type { WorkloadIdentity } from '../workload-identity/index.ts';
import { startGateway } from './gateway.ts';

/**
 * The cluster that the second gateway takes itself to be in. To it, whoever has this process's identity is a workload of
 * another cluster, and so may ask. No real cluster has this name: cluster ids are DNS labels.
 */
const ELSEWHERE = '(warm-up)';

/**
 * The way of a gateway's warm-up: a second gateway of this process, between the two sides of a sidecar, with ports,
 * metrics and control planes of their own. All have the identity of the process.
 * @param makeSidecar what makes the sidecar around it
 */
export function throughGateway(
  config: MeshConfig,
  identity: WorkloadIdentity,
  makeSidecar = secondSidecar,
): MakeWarmUpWay {
  return async (appPort) => {
    const [door = 0, doorAdmin = 0, inbound = 0, outbound = 0, admin = 0] = freePorts(5);
    const { name, namespace, port } = WARM_UP_SERVICE;
    const exported = `${name}.${namespace}.svc.${config.clusterDomain}:${port}`;
    const behind = new WarmUpControlPlane(endpointOf(config, inbound, appPort));
    const before = new WarmUpControlPlane({ ...endpointOf(config, door, door), authorityOverride: exported });
    const workload = { ...config.workload, clusterId: ELSEWHERE, meshNamespace: ELSEWHERE };
    const gateway = await startGateway({ ...unseen(config), workload }, warmUpOptions(identity, behind), {
      inbound: door,
      admin: doorAdmin,
    });
    const sidecar = await makeSidecar(
      config,
      { inbound, outbound, admin },
      warmUpOptions(identity, before),
    ).catch(async (error: unknown) => {
      // Its ports may be somebody else's by now; nobody would end the gateway.
      await gateway.drain();
      throw error;
    });
    await gateway.told;
    return {
      port: outbound,
      stopListening() {
        gateway.stopListening();
        sidecar.stopListening();
      },
      drain: async () => void (await Promise.all([gateway.drain(), sidecar.drain()])),
    };
  };
}
