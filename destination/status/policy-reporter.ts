import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import type { RouteParentStatus } from '../../api/route-types.ts';
import { backoffMs, type Clock, sleep, systemClock } from '../../kubernetes/clock.ts';
import type { EventRecorder } from '../../kubernetes/events.ts';
import { errorMessage, type Log } from '../../kubernetes/log.ts';
import { objectKey } from '../../kubernetes/object-key.ts';
import { type KubernetesClient, KubernetesError, type Resource } from '../../kubernetes/types.ts';
import type { ClusterReader } from '../cluster-state.ts';
import { policyKinds } from '../policy/kinds.ts';
import type { DestinationSettings } from '../settings.ts';
import type { Views } from '../views.ts';
import { type PolicyProblem, policyProblems } from './policy-problems.ts';
import { type RouteKind, routeStatus } from './route-status.ts';

/** Between two tries to write what could not be written. */
const RETRY = { initialMs: 1_000, maxMs: 60_000 };

const ROUTE_KINDS: readonly RouteKind[] = ['policyHttpRoutes', 'httpRoutes', 'grpcRoutes'];

export interface ReporterDeps {
  readonly client: Pick<KubernetesClient, 'mergePatch'>;
  readonly views: Views;
  readonly settings: DestinationSettings;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly log: Log;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** A status that is not as it should be. */
interface StatusChange {
  readonly resource: Resource;
  readonly object: KubernetesObject;
  readonly parents: readonly RouteParentStatus[];
}

interface Report {
  readonly changes: readonly StatusChange[];
  readonly problems: readonly PolicyProblem[];
}

/**
 * Tells people what becomes of their policies: routes by their conditions, other kinds by an event and a line of the
 * log, once for each problem. For one replica at a time; resolves soon after `signal` aborts. What can't be written is
 * tried again, and computed anew from what is there then; it holds up nothing else.
 */
export async function reportPolicies(deps: ReporterDeps, signal: AbortSignal): Promise<void> {
  await new PolicyReporter(deps).run(signal);
}

class PolicyReporter {
  readonly #deps: ReporterDeps;
  readonly #clock: Clock;
  /** Problems that were told and still hold. */
  #told = new Set<string>();
  #wake: () => void = () => {};

  constructor(deps: ReporterDeps) {
    this.#deps = deps;
    this.#clock = deps.clock ?? systemClock;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { views } = this.#deps;
    let changed = true;
    const watch = views.watch(
      'policy report',
      { compute: (cluster) => this.#compute(cluster), equal: () => false },
      () => {
        changed = true;
        this.#wake();
      },
    );
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    try {
      let failures = 0;
      while (!signal.aborted) {
        if (!changed) await this.#pause(failures);
        if (signal.aborted) return;
        changed = false;
        this.#tell(watch.value.problems);
        const written = await this.#write(watch.value.changes);
        failures = written ? 0 : failures + 1;
      }
    } finally {
      watch.close();
    }
  }

  /** Until somebody wakes us, or what could not be written is due again. */
  #pause(failures: number): Promise<void> {
    if (failures === 0) return new Promise<void>((resolve) => (this.#wake = resolve));
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    const { random = Math.random } = this.#deps;
    return sleep(this.#clock, backoffMs(failures, RETRY, random), woken.signal);
  }

  #compute(cluster: ClusterReader): Report {
    const changes = ROUTE_KINDS.flatMap((kind) =>
      cluster.allPolicies(kind).flatMap((route): StatusChange[] => {
        const parents = routeStatus(kind, route, cluster, this.#clock.wallNow());
        if (parents === undefined) return [];
        return [{ resource: servedAs(policyKinds[kind].resource, route), object: route, parents }];
      }),
    );
    return { changes, problems: policyProblems(cluster, this.#deps.settings) };
  }

  #tell(problems: readonly PolicyProblem[]): void {
    const { events, log } = this.#deps;
    const told = new Set<string>();
    for (const { resource, object, problem } of problems) {
      const { kind, group, version } = resource;
      const key = `${kind} ${objectKey(object)} ${problem}`;
      told.add(key);
      if (this.#told.has(key)) continue;
      const about = { apiVersion: `${group}/${version}`, kind, ...object };
      events.record(about, 'Warning', 'PolicyProblem', problem);
      const { namespace, name } = object.metadata ?? {};
      log.warn({ kind, namespace, name, problem }, 'a policy does not do what it seems to say');
    }
    this.#told = told;
  }

  /** True: all that was to be written has been, or is told of anew by a change that comes. */
  async #write(changes: readonly StatusChange[]): Promise<boolean> {
    const { client, log } = this.#deps;
    let complete = true;
    for (const { resource, object, parents } of changes) {
      const { namespace, name = '', resourceVersion } = object.metadata ?? {};
      // Other controllers write entries of their own: theirs must not be lost.
      const patch = { metadata: { resourceVersion }, status: { parents } };
      try {
        await client.mergePatch(resource, namespace, name, patch, { subresource: 'status' });
      } catch (error) {
        if (error instanceof KubernetesError && (error.code === 404 || error.code === 409)) continue;
        complete = false;
        log.warn(
          { kind: resource.kind, namespace, name, error: errorMessage(error) },
          'the status of a route could not be written; it will be tried again',
        );
      }
    }
    return complete;
  }
}

/** In the version that the object was read in. */
function servedAs(resource: Resource, { apiVersion }: KubernetesObject): Resource {
  const version = apiVersion?.split('/')[1];
  return version === undefined ? resource : { ...resource, version };
}
