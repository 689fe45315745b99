import { readFileSync } from 'node:fs';

/** A request to an API server, as its audit log has it. */
export interface AuditedRequest {
  user: string;
  verb: string;
  group: string;
  /** With its subresource: `services/status`. */
  resource: string;
  /** '' for requests that are for all namespaces, or for what has none. */
  namespace: string;
  /** '' for requests that name no object. */
  name: string;
  allowed: boolean;
}

interface AuditEvent {
  stage: string;
  verb: string;
  user: { username: string };
  objectRef?: {
    resource: string;
    subresource?: string;
    namespace?: string;
    name?: string;
    apiGroup?: string;
  };
  responseStatus?: { code?: number };
  annotations?: Record<string, string>;
}

/** The requests for resources in an audit log (`audit.k8s.io/v1` Events, one a line), those that were judged. */
export function readAuditLog(file: string): AuditedRequest[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => requestsOf(JSON.parse(line) as AuditEvent));
}

function requestsOf({ verb, user, objectRef, responseStatus, annotations }: AuditEvent): AuditedRequest[] {
  const decision = annotations?.['authorization.k8s.io/decision'];
  if (objectRef === undefined || decision === undefined) return [];
  const { resource, subresource, namespace = '', name = '', apiGroup = '' } = objectRef;
  const request: AuditedRequest = {
    user: user.username,
    verb,
    group: apiGroup,
    resource: subresource === undefined ? resource : `${resource}/${subresource}`,
    namespace,
    name,
    allowed: decision === 'allow',
  };
  // An apply that has made its object has needed the right to create, which the real server's log does not have a line for.
  const created = verb === 'patch' && responseStatus?.code === 201;
  return created ? [request, { ...request, verb: 'create' }] : [request];
}
