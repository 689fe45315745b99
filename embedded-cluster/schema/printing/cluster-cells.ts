import type { CoreEvent, Namespace, RoleBinding } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import { age } from './age.ts';
import { nameOf } from './text.ts';

interface NodeStatus {
  spec?: { unschedulable?: boolean };
  status?: {
    conditions?: { type: string; status: string }[];
    addresses?: { type: string; address: string }[];
    nodeInfo?: Record<string, string>;
  };
}

/** Fields of both core/v1 and events.k8s.io/v1 Events, which are one thing in storage. */
interface AnyEvent extends Partial<CoreEvent> {
  eventTime?: string | null;
  regarding?: CoreEvent['involvedObject'];
  note?: string;
  series?: { count?: number; lastObservedTime?: string };
  deprecatedFirstTimestamp?: string | null;
  deprecatedLastTimestamp?: string | null;
  deprecatedCount?: number;
  reportingController?: string;
}

const rolePrefix = 'node-role.kubernetes.io/';

export function namespaceCells(object: StoredObject, now: number): unknown[] {
  const { status }: Namespace = object;
  return [nameOf(object), status?.phase ?? '', age(object.metadata.creationTimestamp, now)];
}

export function nodeCells(object: StoredObject, now: number): unknown[] {
  const { spec, status } = object as StoredObject & NodeStatus;
  const info = status?.nodeInfo ?? {};
  const address = (type: string): string =>
    status?.addresses?.find((candidate) => candidate.type === type)?.address ?? '<none>';
  const roles = Object.keys(object.metadata.labels ?? {})
    .filter((label) => label.startsWith(rolePrefix) && label.length > rolePrefix.length)
    .map((label) => label.slice(rolePrefix.length))
    .sort();
  return [
    nameOf(object),
    nodeStatus(status, spec),
    roles.length === 0 ? '<none>' : roles.join(','),
    age(object.metadata.creationTimestamp, now),
    info['kubeletVersion'] ?? '',
    address('InternalIP'),
    address('ExternalIP'),
    info['osImage'] || '<unknown>',
    info['kernelVersion'] || '<unknown>',
    info['containerRuntimeVersion'] || '<unknown>',
  ];
}

function nodeStatus(status: NodeStatus['status'], spec: NodeStatus['spec']): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  let text = 'Unknown';
  if (ready !== undefined) text = ready.status === 'True' ? 'Ready' : 'NotReady';
  return spec?.unschedulable === true ? `${text},SchedulingDisabled` : text;
}

export function eventCells(object: StoredObject, now: number): unknown[] {
  const event = object as StoredObject & AnyEvent;
  const target = event.involvedObject ?? event.regarding;
  const first = event.firstTimestamp ?? event.deprecatedFirstTimestamp ?? event.eventTime;
  const last =
    event.series?.lastObservedTime ?? event.lastTimestamp ?? event.deprecatedLastTimestamp ?? first;
  return [
    age(last, now),
    event.type ?? '',
    event.reason ?? '',
    objectText(target),
    target?.fieldPath ?? '',
    sourceText(event),
    (event.message ?? event.note ?? '').trim(),
    age(first, now),
    event.series?.count ?? event.count ?? event.deprecatedCount ?? 1,
    nameOf(object),
  ];
}

function objectText(target: { kind?: string; name?: string } | undefined): string {
  const kind = target?.kind?.toLowerCase() ?? '';
  return target?.name ? `${kind}/${target.name}` : kind;
}

function sourceText(event: AnyEvent): string {
  const component = event.source?.component || event.reportingComponent || event.reportingController || '';
  return event.source?.host ? `${component}, ${event.source.host}` : component;
}

export function leaseCells(object: StoredObject, now: number): unknown[] {
  const holder = (object['spec'] as { holderIdentity?: string } | undefined)?.holderIdentity ?? '';
  return [nameOf(object), holder, age(object.metadata.creationTimestamp, now)];
}

export function bindingCells(object: StoredObject, now: number): unknown[] {
  const { roleRef, subjects = [] } = object as StoredObject & RoleBinding;
  const names = (kind: string): string =>
    subjects
      .filter((subject) => subject.kind === kind)
      .map(({ name, namespace }) => (kind === 'ServiceAccount' ? `${namespace ?? ''}/${name}` : name))
      .join(', ');
  return [
    nameOf(object),
    `${roleRef.kind}/${roleRef.name}`,
    age(object.metadata.creationTimestamp, now),
    names('User'),
    names('Group'),
    names('ServiceAccount'),
  ];
}
