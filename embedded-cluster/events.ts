import { createHash } from 'node:crypto';
import type { CoreEvent, KubernetesObject, ObjectReference } from '../api/kubernetes-types.ts';
import type { Clock } from './clock.ts';
import { metaTime } from './clock.ts';
import type { LoopbackClient } from './types.ts';

/** What an event is about, with the part of the object (`spec.containers{app}`) where it is about a part. */
export type EventSubject = ObjectReference & { fieldPath?: string };

/** Tells people what happened to an object. */
export interface EventRecorder {
  /** Writes a core/v1 Event, or counts up the one that says the same. Never throws: an event is an aid, not a result. */
  record(subject: EventSubject, type: 'Normal' | 'Warning', reason: string, message: string): void;
}

/** client-go's filter against floods: an object gets so many events of a component at once, then one each period. What is more is dropped. */
const BURST = 25;
const REFILL_MS = 5 * 60_000;
/** Remembered event names, and objects with a budget: bounds memory; a forgotten one only starts a new Event object. */
const MAX_REMEMBERED = 4096;

/**
 * Events by `component`. Those that say the same about the same object are one Event object whose `count` grows (client-go's aggregation key: source,
 * object, type, reason, message). Writes of one event are in order.
 */
export function createEventRecorder(options: {
  client: LoopbackClient;
  clock: Clock;
  component: string;
  host?: string;
}): EventRecorder {
  const { client, clock, component, host } = options;
  const names = new Map<string, string>();
  const spare = createBudgets(clock);
  let queue: Promise<void> = Promise.resolve();

  const write = async (event: CoreEvent, key: string): Promise<void> => {
    const namespace = event.metadata?.namespace;
    const known = names.get(key);
    const existing =
      known === undefined ? undefined : (client.get('events', namespace, known) as CoreEvent | undefined);
    if (known !== undefined && existing !== undefined) {
      const counted = { count: (existing.count ?? 1) + 1, lastTimestamp: event.lastTimestamp };
      await client.patch('events', namespace, known, counted);
      return;
    }
    const created = await client.create('events', event);
    names.set(key, created.metadata.name ?? '');
    const oldest = names.keys().next().value;
    if (names.size > MAX_REMEMBERED && oldest !== undefined) names.delete(oldest);
  };

  return {
    record(subject, type, reason, message) {
      if (!spare([subject.uid, subject.kind, subject.namespace, subject.name].join('\n'))) return;
      const now = clock.now();
      const key = [subject.uid, subject.kind, subject.fieldPath, type, reason, message].join('\n');
      const namespace = subject.namespace ?? 'default';
      const suffix = createHash('sha256').update(`${key}\n${now}`).digest('hex').slice(0, 16);
      const event: CoreEvent = {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: `${subject.name ?? 'unknown'}.${suffix}`, namespace },
        involvedObject: subject,
        reason,
        message,
        type,
        count: 1,
        firstTimestamp: metaTime(now),
        lastTimestamp: metaTime(now),
        source: host === undefined ? { component } : { component, host },
        reportingComponent: component,
        reportingInstance: host ?? '',
      };
      // A namespace that is going refuses new events, and nothing hangs on them.
      queue = queue.then(() => write(event, key)).catch(() => undefined);
    },
  };
}

/** Says whether `key` may have one more event now, and counts it. */
function createBudgets(clock: Clock): (key: string) => boolean {
  const budgets = new Map<string, { left: number; at: number }>();
  return (key) => {
    const now = clock.now();
    const before = budgets.get(key) ?? { left: BURST, at: now };
    const refilled = Math.min(BURST, before.left + Math.max(0, now - before.at) / REFILL_MS);
    budgets.delete(key);
    budgets.set(key, { left: refilled >= 1 ? refilled - 1 : refilled, at: now });
    const oldest = budgets.keys().next().value;
    if (budgets.size > MAX_REMEMBERED && oldest !== undefined) budgets.delete(oldest);
    return refilled >= 1;
  };
}

/** A reference to an object, as events and owner references carry it. */
export function referenceTo(
  object: KubernetesObject,
  kind: { apiVersion: string; kind: string },
): ObjectReference {
  const { name, namespace, uid, resourceVersion } = object.metadata ?? {};
  return {
    ...kind,
    ...(name === undefined ? {} : { name }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}
