import type { Status } from '../../api/kubernetes-types.ts';
import type { FieldError } from '../schema/types.ts';
import { ApiError, type GroupResource } from '../types.ts';

/** The failures of the API, worded as kube-apiserver words them (apimachinery `api/errors`). Every function makes an ApiError; none throws. */

type Details = NonNullable<Status['details']>;

/** Seconds that a client is asked to wait before it tries again. */
const RETRY_AFTER_SECONDS = 1;

function failure(code: number, reason: string, message: string, details?: Details): ApiError {
  return ApiError.of(code, message, { reason, details });
}

/** `deployments.apps`, or `pods` for core. */
export function qualified(resource: GroupResource): string {
  return resource.group === '' ? resource.resource : `${resource.resource}.${resource.group}`;
}

function detailsOf(resource: GroupResource, name: string): Details {
  return {
    ...(name === '' ? {} : { name }),
    ...(resource.group === '' ? {} : { group: resource.group }),
    kind: resource.resource,
  };
}

/** 404. */
export function notFound(resource: GroupResource, name: string): ApiError {
  return failure(
    404,
    'NotFound',
    `${qualified(resource)} ${JSON.stringify(name)} not found`,
    detailsOf(resource, name),
  );
}

/** The path names no resource that is served. */
export function unknownResource(): ApiError {
  return failure(404, 'NotFound', 'the server could not find the requested resource', {});
}

/** 409, of a creation. */
export function alreadyExists(resource: GroupResource, name: string): ApiError {
  return failure(
    409,
    'AlreadyExists',
    `${qualified(resource)} ${JSON.stringify(name)} already exists`,
    detailsOf(resource, name),
  );
}

/** The name is not free yet. */
export function stillBeingDeleted(resource: GroupResource, name: string): ApiError {
  const message = `object is being deleted: ${qualified(resource)} ${JSON.stringify(name)} already exists`;
  return failure(409, 'AlreadyExists', message, detailsOf(resource, name));
}

/** generateName found only names in use, again and again. */
export function generateNameConflict(resource: GroupResource, name: string): ApiError {
  const message = `${qualified(resource)} ${JSON.stringify(name)} already exists, the server was not able to generate a unique name for the object`;
  return failure(409, 'AlreadyExists', message, {
    ...detailsOf(resource, name),
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}

/** Why an update of an object that has changed since is a conflict, in the real server's words. */
export const STALE_RESOURCE_VERSION =
  'the object has been modified; please apply your changes to the latest version and try again';

/** 409: somebody else has written first, or a precondition does not hold. */
export function conflict(resource: GroupResource, name: string, why: string): ApiError {
  return failure(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(resource)} ${JSON.stringify(name)}: ${why}`,
    detailsOf(resource, name),
  );
}

/** 400. */
export function badRequest(message: string): ApiError {
  return failure(400, 'BadRequest', message);
}

/** 422 for options of the request itself: `ListOptions.meta.k8s.io "" is invalid: …`. */
export function invalidOptions(kind: string, ...errors: readonly FieldError[]): ApiError {
  return invalid(kind, 'meta.k8s.io', '', errors);
}

/** A plain failure without a reason, which the real server answers where its own code did not think of a better one. */
export function plainError(message: string): ApiError {
  return ApiError.of(500, message);
}

/** 401: a token or certificate that proves nothing. */
export function unauthorized(): ApiError {
  return failure(401, 'Unauthorized', 'Unauthorized');
}

/** 403. */
export function forbidden(resource: GroupResource, name: string, why: string): ApiError {
  const subject = qualified(resource);
  const message =
    name === ''
      ? `${subject} is forbidden: ${why}`
      : `${subject} ${JSON.stringify(name)} is forbidden: ${why}`;
  return failure(403, 'Forbidden', message, detailsOf(resource, name));
}

/** A forbidden path that is no resource, such as `/metrics`. */
export function forbiddenPath(why: string): ApiError {
  return failure(403, 'Forbidden', `forbidden: ${why}`, {});
}

/** 405. */
export function methodNotAllowed(verb?: string, resource?: GroupResource): ApiError {
  const message =
    verb === undefined || resource === undefined
      ? 'the server does not allow this method on the requested resource'
      : `${verb} is not supported on resources of kind "${qualified(resource)}"`;
  return failure(405, 'MethodNotAllowed', message, resource === undefined ? {} : detailsOf(resource, ''));
}

/** 422 with one cause for each error. `kind` as `Deployment.apps`. */
export function invalid(kind: string, group: string, name: string, errors: readonly FieldError[]): ApiError {
  const texts = [...new Set(errors.map((error) => `${error.field}: ${error.message}`))];
  const list = texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`;
  return failure(
    422,
    'Invalid',
    `${group === '' ? kind : `${kind}.${group}`} ${JSON.stringify(name)} is invalid: ${list}`,
    {
      ...(name === '' ? {} : { name }),
      ...(group === '' ? {} : { group }),
      ...(kind === '' ? {} : { kind }),
      causes: errors.map(({ reason, message, field }) => ({ reason, message, field })),
    },
  );
}

/** 410: the resourceVersion has left the window of kept events. */
function expired(message: string): ApiError {
  return failure(410, 'Expired', message);
}

/** 410: clients list again. */
export function tooOldResourceVersion(asked: number, oldest: number): ApiError {
  return expired(`too old resource version: ${asked} (${oldest})`);
}

/** 410 for a page of a snapshot that is gone. `next` goes on with the objects as they are now. */
export function expiredContinue(next: string): ApiError {
  const message =
    'The provided continue parameter is too old to display a consistent list result. Start a new list without it, or go on with the continue token of this answer: what was written in between may be missing or doubled.';
  const { status } = expired(message);
  return new ApiError({ ...status, metadata: { continue: next } });
}

/** 504, as the real server answers a revision that it has not reached: clients ask again. */
export function tooLargeResourceVersion(asked: number, current: number): ApiError {
  const message = `Timeout: Too large resource version: ${asked}, current: ${current}`;
  return failure(504, 'Timeout', message, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}

/** 413. */
export function bodyTooLarge(limit: number): ApiError {
  return failure(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${limit}`);
}

/** 415. */
export function unsupportedMediaType(accepted: readonly string[]): ApiError {
  return failure(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  );
}

/** None of the media types of `Accept` can be answered in. */
export function notAcceptable(message: string, details?: Details): ApiError {
  return failure(406, 'NotAcceptable', message, details);
}

/** A patch of a type that the resource does not take. */
export function unsupportedPatchType(): ApiError {
  return failure(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {});
}

/** 429, with the seconds after which a client may ask again. */
export function tooManyRequests(message: string, retryAfterSeconds = RETRY_AFTER_SECONDS): ApiError {
  return failure(429, 'TooManyRequests', message, { retryAfterSeconds });
}

/** 429 for an eviction that a disruption budget does not allow; `why` is the budget's own word. */
export function evictionRefused(why: string, retryAfterSeconds = 0): ApiError {
  const message = "Cannot evict pod as it would violate the pod's disruption budget.";
  return failure(429, 'TooManyRequests', message, {
    causes: [{ reason: 'DisruptionBudget', message: why }],
    ...(retryAfterSeconds === 0 ? {} : { retryAfterSeconds }),
  });
}

/** 500. */
export function internalError(message: string): ApiError {
  return failure(500, 'InternalError', `Internal error occurred: ${message}`, {
    causes: [{ message }],
  });
}

export function notImplemented(message: string): ApiError {
  return failure(501, 'NotImplemented', message);
}

/** 503. */
export function serviceUnavailable(message: string): ApiError {
  return failure(503, 'ServiceUnavailable', message);
}
