import type { RequestRedirect } from '../../api/proto/gen/linkerd/http_route_pb.js';
import { schemeRegisteredNames } from '../../api/proto/gen/fields.ts';
import { FieldId } from '../message/field-id.ts';
import { Head } from '../message/head.ts';
import { spanText } from '../bytes/span.ts';

const FOUND = 302;
const LOCATION = Buffer.from('location');
const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };

/** Answers a request with where else to ask (Gateway API, HTTPRequestRedirectFilter). Immutable. */
export class Redirect {
  readonly #told: RequestRedirect;
  readonly #scheme: string | undefined;
  readonly #prefix: string;

  /** @param prefix path that the rule's requests begin with: what `replacePrefixMatch` takes the place of */
  constructor(told: RequestRedirect, prefix: string) {
    this.#told = told;
    this.#scheme = schemeOf(told);
    this.#prefix = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
  }

  answer(head: Head): Head {
    const answer = new Head();
    answer.status = this.#told.status || FOUND;
    const location = Buffer.from(this.location(head), 'latin1');
    answer.add(FieldId.other, LOCATION, 0, LOCATION.length, location, 0, location.length);
    return answer;
  }

  /** The address that a request is sent to. */
  location(head: Head): string {
    const scheme = this.#scheme ?? (spanText(head.scheme) === 'https' ? 'https' : 'http');
    const { host, port } = splitAuthority(spanText(head.authority));
    const target = this.#told.host === '' ? host : this.#told.host;
    return `${scheme}://${target}${portText(scheme, this.#portOf(port))}${this.#path(spanText(head.path))}`;
  }

  /** Undefined: the scheme's own. */
  #portOf(asked: number | undefined): number | undefined {
    if (this.#told.port !== 0) return this.#told.port;
    return this.#scheme === undefined ? asked : undefined;
  }

  #path(target: string): string {
    const query = target.indexOf('?');
    const path = query < 0 ? target : target.slice(0, query);
    const rest = query < 0 ? '' : target.slice(query);
    const { replace } = this.#told.path ?? {};
    if (replace?.case === 'full') return `${replace.value}${rest}`;
    if (replace?.case !== 'prefix') return target;
    const below = path.slice(this.#prefix.length);
    const above = replace.value.endsWith('/') ? replace.value.slice(0, -1) : replace.value;
    const joined = `${above}${below}`;
    return `${joined.startsWith('/') ? joined : `/${joined}`}${rest}`;
  }
}

function schemeOf({ scheme }: RequestRedirect): string | undefined {
  if (scheme?.type.case === 'registered')
    return schemeRegisteredNames[scheme.type.value] === 'HTTPS' ? 'https' : 'http';
  return scheme?.type.case === 'unregistered' && scheme.type.value !== '' ? scheme.type.value : undefined;
}

function portText(scheme: string, port: number | undefined): string {
  return port === undefined || port === DEFAULT_PORTS[scheme] ? '' : `:${port}`;
}

function splitAuthority(authority: string): { host: string; port: number | undefined } {
  const match = /^(.*?)(?::(\d{1,5}))?$/.exec(authority);
  const port = match?.[2];
  return { host: match?.[1] ?? authority, port: port === undefined ? undefined : Number(port) };
}
