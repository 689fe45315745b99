import type { MessageInitShape } from '@bufbuild/protobuf';

import type { RequestRedirectSchema } from '../../api/proto/gen/linkerd/http_route_pb.js';
import type { HttpRoute_FilterSchema } from '../../api/proto/gen/linkerd/outbound_pb.js';
import { Scheme_Registered } from '../../api/proto/gen/linkerd/http_types_pb.js';
import type { HeaderModifier, RouteFilter } from '../../api/route-types.ts';
import { quoted, type TellProblem } from '../policy/problems.ts';

interface Fields {
  headers: { name: string; value: Uint8Array<ArrayBuffer> }[];
}

/** Of requests and of answers alike. */
interface ModifierInit {
  set: Fields;
  add: Fields;
  remove: string[];
}

/** A filter in the proxy API's form. Without a kind it makes a proxy answer 500: what is not understood must not be passed over (Gateway API). */
export interface FilterInit {
  readonly kind:
    | { readonly case: undefined }
    | { readonly case: 'requestHeaderModifier'; readonly value: ModifierInit }
    | { readonly case: 'redirect'; readonly value: MessageInitShape<typeof RequestRedirectSchema> };
}

/** The one that the proxy API has for calls. */
export interface CallFilterInit {
  readonly kind: Extract<FilterInit['kind'], { readonly case: undefined | 'requestHeaderModifier' }>;
}

/** As well for what clients do. */
export type OutboundFilterInit = MessageInitShape<typeof HttpRoute_FilterSchema>;

/** What reads the filters of a kind of route; it tells of those that make requests fail. */
export type ReadFilters = (
  filters: readonly RouteFilter[] | undefined,
  tell: TellProblem,
) => OutboundFilterInit[];

/** Filters of a route for calls, inbound or outbound: the proxy API has but one for them. */
export function callFilters(
  filters: readonly RouteFilter[] | undefined,
  tell: TellProblem,
): CallFilterInit[] {
  return (filters ?? []).map((filter) => {
    const kind = requestFilter(filter)?.kind;
    return kind?.case === 'requestHeaderModifier' ? { kind } : unknown(filter, tell);
  });
}

/** Filters of an inbound route. */
export function inboundFilters(filters: readonly RouteFilter[] | undefined, tell: TellProblem): FilterInit[] {
  return (filters ?? []).map((filter) => requestFilter(filter) ?? unknown(filter, tell));
}

/** Filters of an outbound route, or of one of its backends. */
export function outboundFilters(
  filters: readonly RouteFilter[] | undefined,
  tell: TellProblem,
): OutboundFilterInit[] {
  return (filters ?? []).map((filter): OutboundFilterInit => {
    const { type, responseHeaderModifier } = filter;
    if (type === 'ResponseHeaderModifier' && responseHeaderModifier !== undefined)
      return { kind: { case: 'responseHeaderModifier', value: modifier(responseHeaderModifier) } };
    return requestFilter(filter) ?? unknown(filter, tell);
  });
}

function requestFilter(filter: RouteFilter): FilterInit | undefined {
  const { type, requestHeaderModifier, requestRedirect } = filter;
  if (type === 'RequestHeaderModifier' && requestHeaderModifier !== undefined)
    return { kind: { case: 'requestHeaderModifier', value: modifier(requestHeaderModifier) } };
  if (type === 'RequestRedirect' && requestRedirect !== undefined)
    return { kind: { case: 'redirect', value: redirect(requestRedirect) } };
  return undefined;
}

function unknown({ type }: RouteFilter, tell: TellProblem): { kind: { case: undefined } } {
  tell(`requests are answered with 500: the filter ${quoted(type)} is not supported`);
  return { kind: { case: undefined } };
}

function modifier({ set = [], add = [], remove = [] }: HeaderModifier): ModifierInit {
  const fields = (list: NonNullable<HeaderModifier['set']>) => ({
    headers: list.map(({ name = '', value = '' }) => ({ name, value: Buffer.from(value) })),
  });
  return { set: fields(set), add: fields(add), remove };
}

function redirect(
  told: NonNullable<RouteFilter['requestRedirect']>,
): MessageInitShape<typeof RequestRedirectSchema> {
  const { scheme, hostname = '', path, port = 0, statusCode = 0 } = told;
  const replace =
    path?.type === 'ReplaceFullPath'
      ? ({ case: 'full', value: path.replaceFullPath ?? '/' } as const)
      : path?.type === 'ReplacePrefixMatch'
        ? ({ case: 'prefix', value: path.replacePrefixMatch ?? '/' } as const)
        : undefined;
  return {
    host: hostname,
    port,
    status: statusCode,
    ...(scheme === undefined ? {} : { scheme: schemeOf(scheme) }),
    ...(replace === undefined ? {} : { path: { replace } }),
  };
}

function schemeOf(scheme: string) {
  const value = scheme === 'https' ? Scheme_Registered.HTTPS : Scheme_Registered.HTTP;
  return { type: { case: 'registered', value } } as const;
}
