import type { Container, Pod } from '../../api/kubernetes-types.ts';
import { type KubernetesClient, KubernetesError } from '../../kubernetes/types.ts';
import { resourcePath, resources } from '../../kubernetes/resources.ts';
import { parseSamples } from '../demo/prometheus-text.ts';
import { proxyContainer } from './facts.ts';

/** What a process tells of its own identity in its metrics. */
export interface PodIdentity {
  /** Sequence number of the trust bundle in use; 0: still the anchors of the file that it started with. */
  bundleSequence: number;
  /** When its certificate ends, ms since the epoch; 0: it has none yet. */
  certificateEnd: number;
}

/** Why a pod was not asked: `forbidden` is about the person, not about the pod. */
export type Asked =
  | { kind: 'told'; identity: PodIdentity }
  | { kind: 'failed' | 'forbidden'; message: string };

const ADMIN_PORT_NAME = /^(isthmus-)?admin$/;

/** Asks a component or a sidecar by way of the API server (`pods/proxy`), which reaches pods where the person does not. */
export async function askIdentity(client: KubernetesClient, pod: Pod): Promise<Asked> {
  const { namespace, name = '' } = pod.metadata ?? {};
  const port = adminPort(proxyContainer(pod)) ?? adminPort(pod.spec?.containers[0]);
  if (port === undefined) return { kind: 'failed', message: 'it has no admin port' };
  try {
    const path = resourcePath(resources.pods, namespace, `${name}:${port}`, 'proxy/metrics');
    return told(await client.text(path));
  } catch (thrown) {
    if (!(thrown instanceof KubernetesError)) throw thrown;
    return { kind: thrown.code === 403 ? 'forbidden' : 'failed', message: thrown.message };
  }
}

function adminPort(container: Container | undefined): number | undefined {
  return container?.ports?.find(({ name = '' }) => ADMIN_PORT_NAME.test(name))?.containerPort;
}

function told(metrics: string): Asked {
  const samples = parseSamples(metrics);
  const value = (name: string): number | undefined => samples.find((sample) => sample.name === name)?.value;
  const bundleSequence = value('isthmus_identity_trust_bundle_sequence');
  const certificateEnd = value('control_identity_cert_expiration_timestamp_seconds');
  if (bundleSequence === undefined || certificateEnd === undefined) {
    return { kind: 'failed', message: 'its metrics tell nothing of its identity' };
  }
  return { kind: 'told', identity: { bundleSequence, certificateEnd: certificateEnd * 1000 } };
}
