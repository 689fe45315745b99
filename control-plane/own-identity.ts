import type { Registry } from 'prom-client';
import { component } from '../api/names.ts';
import type { IdentityServices } from '../identity/index.ts';
import { errorMessage, type Log } from '../kubernetes/log.ts';
import { registerReadings } from '../kubernetes/metrics.ts';
import {
  createResolver,
  createWorkloadIdentity,
  type LocalWorkloadIdentity,
} from '../workload-identity/index.ts';
import type { ControlPlaneSettings } from './environment.ts';

/** The control plane's own identity: issued in process, with the bundles that it streams to others. */
export function createOwnIdentity(
  settings: ControlPlaneSettings,
  services: IdentityServices,
  registry: Registry,
  log: Log,
): LocalWorkloadIdentity {
  const { clusterName, trustDomain, meshNamespace } = settings.destination;
  const identity = createWorkloadIdentity({
    names: {
      serviceAccount: component.controlPlane,
      namespace: meshNamespace,
      meshNamespace,
      trustDomain,
      clusterId: clusterName,
    },
    podName: settings.podName,
    anchorsFile: settings.anchorsFile,
    certify: { kind: 'local', certifier: services.certifier },
    resolve: createResolver(),
    logger: log,
  });
  const apply = (): void => {
    const { bundle } = services;
    if (bundle === undefined) return;
    try {
      identity.applyBundle(
        bundle.sequence,
        bundle.anchors.map((anchor) => anchor.raw),
      );
    } catch (error) {
      log.error(
        { error: errorMessage(error) },
        'the trust bundle can not be used by the control plane itself',
      );
    }
  };
  services.onBundle(apply);
  apply();
  // The identity service tells the sequence that it streams under the same name as the identity the one in use.
  registerReadings(registry, () => identity.metrics());
  return identity;
}
