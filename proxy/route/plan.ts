import type { Backend, GrpcRoute_Rule, HttpRoute_Rule } from '../../api/proto/gen/linkerd/outbound_pb.js';
import type { Metadata } from '../../api/proto/gen/linkerd/meta_pb.js';
import { causes } from '../errors.ts';
import { compileFilters, type FilterSource, RouteFilters } from './filters.ts';

/** One of the places that a rule's requests go to. */
export interface PlannedBackend {
  /** `name:port`, asked for at the control plane; undefined: the target that was named itself. */
  readonly path: string | undefined;
  readonly filters: RouteFilters | undefined;
  /** Share among the rule's backends. */
  readonly weight: number;
}

/** Tells whether a request for a backend would find an endpoint, or may soon. */
export interface Availability {
  isAvailable(path: string | undefined): boolean;
}

/**
 * What a rule does with its requests beyond passing them on to the target: filters, and other backends. Immutable. Most
 * rules have none, and their requests are spared the look.
 */
export class Plan {
  readonly filters: RouteFilters | undefined;
  readonly backends: readonly PlannedBackend[];
  readonly #inOrder: boolean;
  readonly #total: number;

  /** @param inOrder the first that is available takes all; otherwise each gets its share */
  constructor(filters: RouteFilters | undefined, backends: readonly PlannedBackend[], inOrder: boolean) {
    this.filters = filters;
    this.backends = backends.filter(({ weight }) => weight > 0);
    this.#inOrder = inOrder;
    this.#total = sumOf(this.backends);
  }

  /** Undefined: there is none at all. @param random from 0 to 1 (excluded) */
  choose(pool: Availability, random: () => number): PlannedBackend | undefined {
    const { backends } = this;
    if (backends.length <= 1) return backends[0];
    if (this.#inOrder) return backends.find(({ path }) => pool.isAvailable(path)) ?? backends[0];
    const chosen = pick(backends, this.#total * random());
    if (chosen === undefined || pool.isAvailable(chosen.path)) return chosen;
    // The shares of those who are gone go to the others; with nobody left each keeps its own, and fails as it would alone.
    const available = backends.filter(({ path }) => pool.isAvailable(path));
    return available.length === 0 ? chosen : pick(available, sumOf(available) * random());
  }
}

function pick(backends: readonly PlannedBackend[], point: number): PlannedBackend | undefined {
  let left = point;
  for (const backend of backends) {
    left -= backend.weight;
    if (left < 0) return backend;
  }
  return backends.at(-1);
}

function sumOf(backends: readonly PlannedBackend[]): number {
  return backends.reduce((sum, { weight }) => sum + weight, 0);
}

/**
 * Undefined: the rule's requests go to the target as they are.
 * @param own says which Service the target is
 * @param prefix path that the rule's requests begin with
 */
export function compilePlan(
  { filters, backends }: HttpRoute_Rule | GrpcRoute_Rule,
  own: Metadata | undefined,
  prefix: string,
): Plan | undefined {
  const ruleFilters = compileFilters(filters, prefix);
  const planned = (one: RouteBackend, weight: number): PlannedBackend => ({
    path: pathOf(one?.backend, own),
    filters: filtersOf(one, prefix),
    weight,
  });
  const kind = backends?.kind;
  const list =
    kind?.case === 'firstAvailable'
      ? kind.value.backends.map((one) => planned(one, 1))
      : kind?.case === 'randomAvailable'
        ? kind.value.backends.map(({ backend, weight }) => planned(backend, weight))
        : kind?.case === 'empty'
          ? []
          : [TARGET_ITSELF];
  if (ruleFilters === undefined && list.every(isTargetItself) && list.length > 0) return undefined;
  return new Plan(ruleFilters, list, kind?.case === 'firstAvailable');
}

type RouteBackend =
  | { readonly backend?: Backend | undefined; readonly filters: readonly FilterSource[] }
  | undefined;

const TARGET_ITSELF: PlannedBackend = { path: undefined, filters: undefined, weight: 1 };

function isTargetItself({ path, filters, weight }: PlannedBackend): boolean {
  return path === undefined && filters === undefined && weight > 0;
}

/** Where a backend is nothing that can be asked for, its filters answer; without any, that there is none. */
function filtersOf(one: RouteBackend, prefix: string): RouteFilters | undefined {
  const filters = compileFilters(one?.filters ?? [], prefix);
  if (filters !== undefined || one?.backend?.kind.case !== undefined) return filters;
  return new RouteFilters([() => causes.injected], []);
}

function pathOf(backend: Backend | undefined, own: Metadata | undefined): string | undefined {
  if (backend?.kind.case !== 'balancer' || isSame(backend.metadata, own)) return undefined;
  const discovery = backend.kind.value.discovery?.kind;
  return discovery?.case === 'dst' && own !== undefined ? discovery.value.path : undefined;
}

function isSame(a: Metadata | undefined, b: Metadata | undefined): boolean {
  if (a?.kind.case !== 'resource' || b?.kind.case !== 'resource') return false;
  const one = a.kind.value;
  const other = b.kind.value;
  return one.namespace === other.namespace && one.name === other.name && one.port === other.port;
}
