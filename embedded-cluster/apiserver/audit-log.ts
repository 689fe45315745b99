import { closeSync, openSync, writeSync } from 'node:fs';
import type { Attributes, Decision } from './authz/authorizer.ts';

/** Told of every request that was judged. */
export type Audit = (attributes: Attributes, decision: Decision) => void;

/**
 * Appends a line for each judged request to a file, in the form of the real API server's audit log (`audit.k8s.io/v1`
 * Event, level Metadata), so that what reads the one reads the other. Written at once: what was judged before a crash
 * is in it.
 */
export function openAuditLog(file: string, now: () => number): { audit: Audit; close: () => void } {
  const fd = openSync(file, 'a', 0o600);
  return {
    audit: (attributes, decision) => {
      writeSync(fd, `${JSON.stringify(auditEvent(attributes, decision, now()))}\n`);
    },
    close: () => closeSync(fd),
  };
}

function auditEvent(attributes: Attributes, { allowed, reason }: Decision, at: number): object {
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Metadata',
    stage: 'RequestReceived',
    verb: attributes.verb,
    user: { username: attributes.user.username, groups: attributes.user.groups },
    ...target(attributes),
    requestReceivedTimestamp: new Date(at).toISOString().replace('Z', '000Z'),
    annotations: {
      'authorization.k8s.io/decision': allowed ? 'allow' : 'forbid',
      'authorization.k8s.io/reason': reason,
    },
  };
}

function target(attributes: Attributes): object {
  if (attributes.kind === 'path') return { requestURI: attributes.path };
  const { resource, subresource, namespace, name, group } = attributes;
  return {
    objectRef: {
      resource,
      ...(subresource === '' ? {} : { subresource }),
      ...(namespace === '' ? {} : { namespace }),
      ...(name === '' ? {} : { name }),
      ...(group === '' ? {} : { apiGroup: group }),
    },
  };
}
