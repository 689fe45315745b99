import type { AdmissionReview, Namespace, Pod } from '../api/kubernetes-types.ts';
import type { InjectionContext } from './context.ts';
import { injectPod, type InjectionResult } from './inject-pod.ts';
import type { SkipCode } from './should-inject.ts';

/** What an admission needs, and whom it tells. */
export interface AdmissionDeps {
  /** The values of now. */
  context: () => InjectionContext;
  /** Undefined when there is no such namespace, or it can't be read. */
  namespace: (name: string) => Promise<Namespace | undefined>;
  /** Told of each decision; must not throw. */
  decided: (decision: Decision) => void;
}

/** What was decided about a pod. */
export interface Decision {
  pod: Pod;
  namespace: string;
  dryRun: boolean;
  result: InjectionResult;
}

/** A body that is no AdmissionReview of a request: the caller's mistake. */
export class MalformedReview extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MalformedReview';
  }
}

/**
 * Answers one AdmissionReview (admission.k8s.io/v1). The pod is always allowed: a sidecar that is missing is reported
 * elsewhere, while a pod that is refused is an outage. Throws MalformedReview for what is no review.
 */
export async function admit(body: string, deps: AdmissionDeps): Promise<AdmissionReview> {
  const request = parseReview(body);
  const respond = (
    response: Omit<NonNullable<AdmissionReview['response']>, 'uid' | 'allowed'>,
  ): AdmissionReview => ({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: { uid: request.uid, allowed: true, ...response },
  });
  if (request.operation !== 'CREATE' || request.kind.kind !== 'Pod' || request.kind.group !== '')
    return respond({});
  const pod: Pod | null | undefined = request.object;
  if (pod?.spec?.containers === undefined) return respond({});
  const name = request.namespace ?? pod.metadata?.namespace ?? 'default';
  const metadata = (await deps.namespace(name))?.metadata;
  const result = injectPod(pod, { name, metadata }, deps.context());
  deps.decided({ pod, namespace: name, dryRun: request.dryRun === true, result });
  const told = [...result.warnings, ...skipWarnings(result)];
  const warnings = told.length === 0 ? {} : { warnings: told };
  if (!result.injected) return respond(warnings);
  const patch = Buffer.from(JSON.stringify(result.patch)).toString('base64');
  return respond({ patchType: 'JSONPatch', patch, ...warnings });
}

/** Who applies a pod by hand sees at once why it gets no sidecar; of others' pods an event tells. */
function skipWarnings(result: InjectionResult): string[] {
  if (result.injected || !CONTRADICTIONS.has(result.skipped.code)) return [];
  return [`no sidecar is added: ${result.skipped.message}`];
}

/** A sidecar was asked for and cannot be. */
const CONTRADICTIONS: ReadonlySet<SkipCode> = new Set<SkipCode>([
  'host_network_enabled',
  'proxy_uid_in_use',
  'invalid_inject_annotation_at_workload',
  'invalid_inject_annotation_at_ns',
]);

function parseReview(body: string): NonNullable<AdmissionReview['request']> {
  let review: Partial<AdmissionReview> | null;
  try {
    review = JSON.parse(body) as Partial<AdmissionReview> | null;
  } catch {
    throw new MalformedReview('the body is not JSON');
  }
  if (review?.kind !== 'AdmissionReview' || review.apiVersion !== 'admission.k8s.io/v1') {
    throw new MalformedReview('the body is not an AdmissionReview of admission.k8s.io/v1');
  }
  if (typeof review.request?.uid !== 'string' || typeof review.request.kind?.kind !== 'string') {
    throw new MalformedReview('the AdmissionReview has no request with uid and kind');
  }
  return review.request;
}
