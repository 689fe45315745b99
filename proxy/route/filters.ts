import type { GrpcFailureInjector } from '../../api/proto/gen/linkerd/grpc_route_pb.js';
import type {
  HttpFailureInjector,
  HttpRouteMatch,
  RequestHeaderModifier,
  RequestRedirect,
  ResponseHeaderModifier,
} from '../../api/proto/gen/linkerd/http_route_pb.js';
import { causes, type Cause } from '../errors.ts';
import type { Head } from '../message/head.ts';
import { HeaderModifier } from './header-modifier.ts';
import { Redirect } from './redirect.ts';

/** A filter as the policy API tells it, of whichever kind of route. */
export interface FilterSource {
  readonly kind:
    | { readonly case: 'requestHeaderModifier'; readonly value: RequestHeaderModifier }
    | { readonly case: 'responseHeaderModifier'; readonly value: ResponseHeaderModifier }
    | { readonly case: 'redirect'; readonly value: RequestRedirect }
    | { readonly case: 'failureInjector'; readonly value: HttpFailureInjector | GrpcFailureInjector }
    | { readonly case: undefined; readonly value?: undefined };
}

/** What a request gets in place of the app's answer: one of the route's own, or a failure. */
export type FilterAnswer = Head | Cause;

type Step = (head: Head) => FilterAnswer | undefined;

/** What a route does to its requests and answers. Immutable. */
export class RouteFilters {
  readonly #steps: readonly Step[];
  readonly #response: readonly HeaderModifier[];

  constructor(steps: readonly Step[], response: readonly HeaderModifier[]) {
    this.#steps = steps;
    this.#response = response;
  }

  /** Changes the head of a request. @returns the answer that it gets from here; undefined: it goes on */
  request(head: Head): FilterAnswer | undefined {
    for (const step of this.#steps) {
      const answer = step(head);
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  /** Changes the head of an answer. */
  response(head: Head): void {
    for (const modifier of this.#response) modifier.apply(head);
  }
}

/**
 * Undefined: there are none.
 * @param prefix path that all requests of the rule begin with; '' when there is none such
 */
export function compileFilters(
  filters: readonly FilterSource[],
  prefix: string,
  random: () => number = Math.random,
): RouteFilters | undefined {
  if (filters.length === 0) return undefined;
  const steps = filters.flatMap((filter) => stepsOf(filter, prefix, random));
  const response = filters.flatMap(({ kind }) =>
    kind.case === 'responseHeaderModifier' ? [new HeaderModifier(kind.value)] : [],
  );
  return new RouteFilters(steps, response);
}

function stepsOf({ kind }: FilterSource, prefix: string, random: () => number): Step[] {
  if (kind.case === 'responseHeaderModifier') return [];
  if (kind.case === 'failureInjector') return [failure(kind.value, random)];
  if (kind.case === 'redirect') {
    const redirect = new Redirect(kind.value, prefix);
    return [(head) => redirect.answer(head)];
  }
  if (kind.case === 'requestHeaderModifier') {
    const modifier = new HeaderModifier(kind.value);
    return [(head) => (modifier.apply(head) ? undefined : causes.headTooLarge)];
  }
  // What is not understood must not be passed over: it may have been there to keep something away.
  return [() => causes.internal];
}

function failure(told: HttpFailureInjector | GrpcFailureInjector, random: () => number): Step {
  const { numerator, denominator } = told.ratio ?? { numerator: 1, denominator: 1 };
  const share = denominator === 0 ? 1 : numerator / denominator;
  const cause: Cause =
    'status' in told
      ? {
          ...causes.injected,
          status: told.status >= 200 && told.status <= 599 ? told.status : causes.injected.status,
        }
      : { ...causes.injected, grpc: told.code };
  return () => (random() < share ? cause : undefined);
}

/** The path that every request of a rule begins with, where its one match says so. */
export function prefixOf(matches: readonly HttpRouteMatch[]): string {
  const [only, ...others] = matches;
  const path = only?.path?.kind;
  return others.length === 0 && path?.case === 'prefix' ? path.value : '';
}
