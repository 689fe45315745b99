import { component } from '../api/names.ts';
import type { EventRecorder } from '../kubernetes/events.ts';
import type { Decision } from './admission.ts';
import { controllerOf, type PodOwner } from './pod-owner.ts';

/**
 * Tells what became of a pod as events on what owns it, as Linkerd does: `Injected`, `InjectionSkipped` and
 * `AnnotationIgnored` on the Deployment, which people look at, rather than on a pod that has no name yet. Pods that
 * nobody asked to inject are not told of.
 */
export function createInjectionEvents(
  recorder: EventRecorder,
  ownerOf: PodOwner,
): (decision: Decision) => void {
  return (decision) => {
    const events = eventsOf(decision);
    if (decision.dryRun || events.length === 0 || controllerOf(decision.pod) === undefined) return;
    void ownerOf(decision.pod, decision.pod.metadata?.namespace ?? decision.namespace).then((owner) =>
      events.forEach(({ type, reason, message }) => recorder.record(owner, type, reason, message)),
    );
  };
}

interface Told {
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
}

function eventsOf({ pod, result }: Decision): Told[] {
  const ignored = result.warnings.map((message): Told => ({
    type: 'Warning',
    reason: 'AnnotationIgnored',
    message,
  }));
  if (result.injected) {
    return [{ type: 'Normal', reason: 'Injected', message: 'Isthmus sidecar proxy injected' }, ...ignored];
  }
  const { code, message } = result.skipped;
  if (code === 'injection_enable_annotation_absent' || code === 'excluded_namespace') return [];
  // The API server asks again after other webhooks have changed the pod: that our sidecar is there is no news.
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  if (code === 'sidecar_already_exists' && containers.some(({ name }) => name === component.proxy)) return [];
  const told = `Isthmus sidecar proxy injection skipped: ${message}`;
  return [{ type: 'Normal', reason: 'InjectionSkipped', message: told }];
}
