import type { GrpcRouteMatch } from '../../api/proto/gen/linkerd/grpc_route_pb.js';
import type { HostMatch, HttpRouteMatch } from '../../api/proto/gen/linkerd/http_route_pb.js';
import type { HttpMethod } from '../../api/proto/gen/linkerd/http_types_pb.js';
import { httpMethodRegisteredNames } from '../../api/proto/gen/fields.ts';
import { routeExpression } from '../../api/route-expression.ts';
import {
  AllOf,
  byPrecedence,
  FieldMatches,
  HostMatches,
  type Matcher,
  MethodIs,
  PathExact,
  PathPrefix,
  PathRegex,
  QueryMatches,
} from './match.ts';
import type { Head } from '../message/head.ts';

/** A route as it is told: who it is for, and what stands behind each of its rules. */
export interface RouteSource<R> {
  readonly hosts: readonly HostMatch[];
  readonly rules: readonly { readonly matches: readonly Matcher[]; readonly value: R }[];
}

interface Entry<R> {
  readonly matcher: Matcher;
  readonly value: R;
}

/** Routes, the most specific first. Immutable. */
export class RouteTable<R> {
  readonly #entries: readonly Entry<R>[];

  constructor(sources: readonly RouteSource<R>[]) {
    this.#entries = sources.flatMap(entriesOf).sort((a, b) => byPrecedence(a.matcher, b.matcher));
  }

  /** What stands behind the most specific match; undefined: no route is for this request. */
  find(head: Head): R | undefined {
    for (const { matcher, value } of this.#entries) if (matcher.matches(head)) return value;
    return undefined;
  }
}

/** A rule without matches is for all. */
const EVERYTHING: Matcher = new AllOf([], [0, 0, 0, 0, 0]);

function entriesOf<R>({ hosts, rules }: RouteSource<R>): Entry<R>[] {
  const named = hosts.length === 0 ? [undefined] : hosts.map(compileHost);
  return rules.flatMap(({ matches, value }) =>
    (matches.length === 0 ? [EVERYTHING] : matches).flatMap((matcher) =>
      named.map((host) => ({ matcher: withHost(host, matcher), value })),
    ),
  );
}

function withHost(host: Matcher | undefined, inner: Matcher): Matcher {
  if (host === undefined) return new AllOf([inner], [0, 0, ...inner.precedence]);
  return new AllOf([host, inner], [...host.precedence, ...inner.precedence]);
}

function compileHost({ match }: HostMatch): Matcher {
  if (match.case === 'exact') return new HostMatches(match.value, '');
  const labels = match.case === 'suffix' ? match.value.reverseLabels.toReversed() : [];
  return new HostMatches(undefined, `.${labels.join('.')}`);
}

/** Throws a SyntaxError for an expression that is none. */
export function compileHttpMatch(match: HttpRouteMatch): Matcher {
  const path = compilePath(match.path);
  const method = methodName(match.method);
  const headers = match.headers.map(compileHeader);
  const queries = match.queryParams.map(
    ({ name, value }) =>
      new QueryMatches(name, value.case === 'regex' ? routeExpression(value.value) : (value.value ?? '')),
  );
  return assemble(path, path.precedence, method, headers, queries);
}

/** Requests of one method for one path. */
export function requestFor(method: string, path: string): Matcher {
  const exact = new PathExact(path);
  return assemble(exact, exact.precedence, method, [], []);
}

/** Throws a SyntaxError for an expression that is none. */
export function compileGrpcMatch({ rpc, headers }: GrpcRouteMatch): Matcher {
  const { service = '', method = '' } = rpc ?? {};
  // Gateway API: the longer service, then the longer method.
  const precedence = [service.length, method.length];
  return assemble(compileRpc(service, method), precedence, undefined, headers.map(compileHeader), []);
}

function assemble(
  path: Matcher,
  pathPrecedence: readonly number[],
  method: string | undefined,
  headers: readonly Matcher[],
  queries: readonly Matcher[],
): Matcher {
  const methods = method === undefined ? [] : [new MethodIs(method)];
  const precedence = [...pathPrecedence, methods.length, headers.length, queries.length];
  return new AllOf([...methods, path, ...headers, ...queries], precedence);
}

function compilePath(path: HttpRouteMatch['path']): Matcher {
  if (path?.kind.case === 'exact') return new PathExact(path.kind.value);
  if (path?.kind.case === 'regex') return new PathRegex(path.kind.value);
  return new PathPrefix(path?.kind.case === 'prefix' ? path.kind.value : '/');
}

/** gRPC's path is `/service/method`. */
function compileRpc(service: string, method: string): Matcher {
  if (service === '') return method === '' ? new PathPrefix('/') : new PathRegex(`/[^/]+/${quote(method)}`);
  return method === '' ? new PathPrefix(`/${service}`) : new PathExact(`/${service}/${method}`);
}

function quote(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}

function compileHeader({ name, value }: HttpRouteMatch['headers'][number]): Matcher {
  if (value.case === 'regex') return new FieldMatches(name, routeExpression(value.value));
  return new FieldMatches(name, Buffer.from(value.value ?? new Uint8Array()).toString('latin1'));
}

/** Undefined: any method. */
export function methodName(method: HttpMethod | undefined): string | undefined {
  if (method?.type.case === 'registered') return httpMethodRegisteredNames[method.type.value];
  return method?.type.case === 'unregistered' ? method.type.value : undefined;
}
