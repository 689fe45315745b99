import type { MessageInitShape } from '@bufbuild/protobuf';

import type { GrpcRouteMatchSchema } from '../../api/proto/gen/linkerd/grpc_route_pb.js';
import type { HostMatchSchema, HttpRouteMatchSchema } from '../../api/proto/gen/linkerd/http_route_pb.js';
import { HttpMethod_Registered } from '../../api/proto/gen/linkerd/http_types_pb.js';
import { routeExpression } from '../../api/route-expression.ts';
import type { GrpcMatch, HttpMatch, ValueMatch } from '../../api/route-types.ts';
import { quoted, type TellProblem } from '../policy/problems.ts';

export type HttpMatchInit = MessageInitShape<typeof HttpRouteMatchSchema>;
export type GrpcMatchInit = MessageInitShape<typeof GrpcRouteMatchSchema>;
export type HostInit = MessageInitShape<typeof HostMatchSchema>;

/** Something of a route that can't be read: its message says what it must be. */
export class UnreadableError extends Error {}

const EXACT = 'Exact';
const REGEX = 'RegularExpression';

/**
 * The matches of a rule; no match at all stands for every request, as the API has it. One that can't be read fits nothing, and is told.
 * @returns undefined when there were some and none can be read: the rule is for nothing
 */
export function readMatches<M, I>(
  matches: readonly M[] | undefined,
  read: (match: M) => I,
  every: I,
  tell: TellProblem,
): I[] | undefined {
  if (matches === undefined || matches.length === 0) return [every];
  const readable = matches.flatMap((match) => {
    try {
      return [read(match)];
    } catch (error) {
      if (!(error instanceof UnreadableError)) throw error;
      tell(`the match ${quoted(match)} fits nothing: ${error.message}`);
      return [];
    }
  });
  return readable.length === 0 ? undefined : readable;
}

export const EVERY_REQUEST: HttpMatchInit = { path: { kind: { case: 'prefix', value: '/' } } };
export const EVERY_CALL: GrpcMatchInit = {};

/** Throws an UnreadableError. */
export function httpMatch({ path, method, headers = [], queryParams = [] }: HttpMatch): HttpMatchInit {
  return {
    path: { kind: pathKind(path) },
    ...(method === undefined ? {} : { method: httpMethod(method) }),
    headers: headers.map(headerMatch),
    queryParams: queryParams.map(queryMatch),
  };
}

/** Throws an UnreadableError. */
export function grpcMatch({ method, headers = [] }: GrpcMatch): GrpcMatchInit {
  if ((method?.type ?? EXACT) !== EXACT)
    throw new UnreadableError(`a method's type is ${quoted(method?.type)}, it must be ${EXACT}`);
  return {
    rpc: { service: method?.service ?? '', method: method?.method ?? '' },
    headers: headers.map(headerMatch),
  };
}

function pathKind(path: HttpMatch['path']) {
  const { type = 'PathPrefix', value = '/' } = path ?? {};
  if (type === REGEX) return { case: 'regex', value: expression(value) } as const;
  if (!value.startsWith('/')) throw new UnreadableError(`the path ${quoted(value)} must begin with /`);
  if (type === EXACT) return { case: 'exact', value } as const;
  if (type === 'PathPrefix') return { case: 'prefix', value } as const;
  throw new UnreadableError(`a path's type is ${quoted(type)}, it must be ${EXACT}, PathPrefix or ${REGEX}`);
}

/** A method by its name, in the proxy API's form. */
export function httpMethod(text: string) {
  const registered = HttpMethod_Registered[text as keyof typeof HttpMethod_Registered];
  return typeof registered === 'number'
    ? ({ type: { case: 'registered', value: registered } } as const)
    : ({ type: { case: 'unregistered', value: text } } as const);
}

function headerMatch(match: ValueMatch) {
  const { name, type, value } = named(match);
  return type === REGEX
    ? { name, value: { case: 'regex', value: expression(value) } as const }
    : { name, value: { case: 'exact', value: Buffer.from(value) } as const };
}

function queryMatch(match: ValueMatch) {
  const { name, type, value } = named(match);
  return type === REGEX
    ? { name, value: { case: 'regex', value: expression(value) } as const }
    : { name, value: { case: 'exact', value } as const };
}

function named({ name = '', type = EXACT, value = '' }: ValueMatch) {
  if (name === '') throw new UnreadableError('a name is missing');
  if (type !== EXACT && type !== REGEX)
    throw new UnreadableError(`the type of ${name} is ${quoted(type)}, it must be ${EXACT} or ${REGEX}`);
  return { name, type, value };
}

/** An expression that proxies of ours take. */
export function expression(text: string): string {
  try {
    routeExpression(text);
    return text;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new UnreadableError(`${quoted(text)} is no regular expression of routes: ${error.message}`);
  }
}

/** Host names, `*.` before one standing for any below it. */
export function hostMatches(hostnames: readonly string[] | undefined): HostInit[] {
  return (hostnames ?? []).map((host) =>
    host.startsWith('*.')
      ? { match: { case: 'suffix', value: { reverseLabels: host.slice(2).split('.').reverse() } } }
      : { match: { case: 'exact', value: host } },
  );
}
