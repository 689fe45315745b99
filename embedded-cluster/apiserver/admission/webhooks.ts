import { randomUUID } from 'node:crypto';
import type { ServedType } from '../../schema/types.ts';
import { jsonPatch } from '../../schema/index.ts';
import { ApiError, type StoredObject } from '../../types.ts';
import { badRequest, internalError } from '../errors.ts';
import { clone, equal, isObject, type JsonObject, valueAt } from '../json.ts';
import type { AdmissionRequest } from '../operations/core.ts';
import { isStoredObject, type Registry, toVersion } from '../registry.ts';
import type { Store } from '../store/store.ts';
import type { WebhookAdmission } from './chain.ts';
import { admissionReview, matchWebhook, type Webhook, webhooksOf } from './webhook-config.ts';
import { WebhookClient } from './webhook-client.ts';

/** Finds where a Service answers: the address and port of a ready endpoint. Rejects with what is wrong. */
export type DialService = (service: {
  namespace: string;
  name: string;
  port: number;
}) => Promise<{ address: string; port: number }>;

interface Log {
  warn(fields: object, message: string): void;
}

/** The answer of a webhook that is well formed. */
interface Answer {
  allowed: boolean;
  patch: unknown;
  result: JsonObject;
  warnings: string[];
}

/** Mutating and validating admission webhooks: which are called, in which order, and what their answers do. */
export class Webhooks implements WebhookAdmission {
  readonly #store: Store;
  readonly #registry: Registry;
  readonly #client: WebhookClient;
  readonly #log: Log;

  constructor(store: Store, registry: Registry, dialService: DialService, log: Log) {
    this.#store = store;
    this.#registry = registry;
    this.#client = new WebhookClient(dialService);
    this.#log = log;
  }

  /** One after the other, each sees what the former has made; those with `reinvocationPolicy: IfNeeded` once more when a later one changed something. */
  async mutate(request: AdmissionRequest): Promise<boolean> {
    const original = request.object;
    const webhooks = webhooksOf(this.#store, 'mutating');
    const seen = new Map<Webhook, StoredObject | undefined>();
    for (const webhook of webhooks) await this.#mutateBy(webhook, request, seen);
    for (const webhook of webhooks) {
      const before = seen.get(webhook);
      if (webhook.reinvocationPolicy !== 'IfNeeded' || before === undefined || equal(before, request.object))
        continue;
      await this.#mutateBy(webhook, request, seen);
    }
    return request.object !== original;
  }

  async #mutateBy(
    webhook: Webhook,
    request: AdmissionRequest,
    seen: Map<Webhook, StoredObject | undefined>,
  ): Promise<void> {
    const type = matchWebhook(webhook, request, this.#store, this.#registry);
    if (type === undefined) return;
    const answer = await this.#call(webhook, request, type);
    if (request.object === undefined) {
      if (isPatching(answer))
        throw internalError(
          `admission webhook ${JSON.stringify(webhook.name)} attempted to modify the object, which is not supported for this operation`,
        );
      return;
    }
    if (answer !== undefined && answer.patch !== undefined) {
      const inVersion = toVersion(clone(request.object), type);
      const patched = this.#patch(webhook, inVersion, answer.patch);
      if (!equal(patched, inVersion)) request.object = toVersion(patched, request.call.type);
    }
    seen.set(webhook, request.object);
  }

  #patch(webhook: Webhook, object: StoredObject, patch: unknown): StoredObject {
    try {
      const patched = jsonPatch(object, patch);
      if (isStoredObject(patched)) return patched;
      throw new Error('the patch leaves no object of the API');
    } catch (error) {
      throw internalError(
        `the patch of admission webhook ${JSON.stringify(webhook.name)} does not apply: ${messageOf(error)}`,
      );
    }
  }

  /** All at once; the first refusal in their order counts. */
  async validate(request: AdmissionRequest): Promise<void> {
    const calls = webhooksOf(this.#store, 'validating').flatMap((webhook) => {
      const type = matchWebhook(webhook, request, this.#store, this.#registry);
      return type === undefined ? [] : [this.#call(webhook, request, type, refusePatch)];
    });
    const results = await Promise.allSettled(calls);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /** Undefined when the call failed and its failurePolicy is Ignore. Throws the refusal, or 500 when it failed and must not. */
  async #call(
    webhook: Webhook,
    request: AdmissionRequest,
    type: ServedType,
    check: (answer: Answer) => void = () => undefined,
  ): Promise<Answer | undefined> {
    if (request.call.dryRun && webhook.sideEffects !== 'None' && webhook.sideEffects !== 'NoneOnDryRun') {
      throw badRequest(`admission webhook ${JSON.stringify(webhook.name)} does not support dry run`);
    }
    const uid = randomUUID();
    let answer: Answer;
    try {
      const review = admissionReview(uid, request, type, (object) => toVersion(object, type));
      answer = parseAnswer(await this.#client.call(webhook, review), uid);
      check(answer);
    } catch (error) {
      return this.#tolerate(webhook, error);
    }
    for (const warning of answer.warnings) request.call.warn(warning);
    if (!answer.allowed) throw refusal(webhook, answer.result);
    return answer;
  }

  #tolerate(webhook: Webhook, error: unknown): undefined {
    const why = messageOf(error);
    if (webhook.failurePolicy !== 'Ignore')
      throw internalError(`failed calling webhook ${JSON.stringify(webhook.name)}: ${why}`);
    this.#log.warn(
      { webhook: webhook.name, reason: why },
      'a webhook could not be called; its failurePolicy lets the request pass',
    );
    return undefined;
  }

  close(): void {
    this.#client.close();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function isPatching(answer: Answer | undefined): boolean {
  return Array.isArray(answer?.patch) && answer.patch.length > 0;
}

function refusePatch(answer: Answer): void {
  if (answer.patch !== undefined) throw unfit('validating webhook may not return response.patch');
}

function unfit(problem: string): Error {
  return new Error(`received invalid webhook response: ${problem}`);
}

function parseAnswer(review: unknown, uid: string): Answer {
  const response = valueAt(review, 'response');
  if (!isObject(response)) throw unfit('webhook response was absent');
  if (
    valueAt(review, 'kind') !== 'AdmissionReview' ||
    valueAt(review, 'apiVersion') !== 'admission.k8s.io/v1'
  ) {
    throw new Error(
      `expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got ${apiVersionText(review)}`,
    );
  }
  if (response['uid'] !== uid)
    throw unfit(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response['uid'])}`);
  const { patch, patchType, allowed, status, warnings } = response;
  if (patch !== undefined && patch !== null && patchType !== 'JSONPatch')
    throw unfit('webhook returned response.patch but not response.patchType');
  return {
    allowed: allowed === true,
    patch:
      typeof patch === 'string' && patch !== ''
        ? (JSON.parse(Buffer.from(patch, 'base64').toString('utf8')) as unknown)
        : undefined,
    result: isObject(status) ? status : {},
    warnings: Array.isArray(warnings) ? warnings.map(String) : [],
  };
}

function apiVersionText(review: unknown): string {
  return `${String(valueAt(review, 'apiVersion'))}, Kind=${String(valueAt(review, 'kind'))}`;
}

/** The webhook's own status, in kube-apiserver's frame. */
function refusal({ name }: Webhook, result: JsonObject): ApiError {
  const { message, reason, code, details } = result;
  const who = `admission webhook ${JSON.stringify(name)} denied the request`;
  const why =
    typeof message === 'string' && message !== '' ? message : typeof reason === 'string' ? reason : '';
  // Without a code it is the request that was bad.
  const given = typeof code === 'number' && code >= 400 && code < 600 ? code : 400;
  return ApiError.of(given, why === '' ? `${who} without explanation` : `${who}: ${why}`, {
    ...(typeof reason === 'string' && reason !== '' ? { reason } : {}),
    ...(isObject(details) ? { details } : {}),
  });
}
