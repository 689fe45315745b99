import { routeExpression } from '../../api/route-expression.ts';
import { equalsIgnoreCase } from '../message/field-names.ts';
import type { Head } from '../message/head.ts';
import { spanText } from '../bytes/span.ts';

/** Does a request fit? Compiled once; called for each request. */
export interface Matcher {
  matches(head: Head): boolean;
  /** Higher goes first (Gateway API: the more specific match wins). Compared member by member. */
  readonly precedence: readonly number[];
  /** Every request fits. */
  readonly fitsAll: boolean;
}

/** The more of a path is matched the more it counts: an expression is for the whole of it (as with Linkerd; the Gateway API leaves that open). */
const EXACT = 3;
const REGEX = 2;
const PREFIX = 1;

/** All of several. */
export class AllOf implements Matcher {
  readonly precedence: readonly number[];
  readonly fitsAll: boolean;
  readonly #parts: readonly Matcher[];

  /** @param precedence of the whole */
  constructor(parts: readonly Matcher[], precedence: readonly number[]) {
    this.#parts = parts;
    this.precedence = precedence;
    this.fitsAll = parts.every((part) => part.fitsAll);
  }

  matches(head: Head): boolean {
    for (const part of this.#parts) if (!part.matches(head)) return false;
    return true;
  }
}

/** The path without its query, byte by byte. */
export class PathExact implements Matcher {
  readonly precedence: readonly number[];
  readonly fitsAll = false;
  readonly #path: Buffer;

  constructor(path: string) {
    this.#path = Buffer.from(path, 'latin1');
    this.precedence = [EXACT, this.#path.length];
  }

  matches({ path }: Head): boolean {
    const end = pathEnd(path);
    return (
      end - path.start === this.#path.length &&
      path.buffer.compare(this.#path, 0, this.#path.length, path.start, end) === 0
    );
  }
}

/** Whole segments (Gateway API): `/a` fits `/a` and `/a/b`, and not `/ab`. */
export class PathPrefix implements Matcher {
  readonly precedence: readonly number[];
  readonly fitsAll: boolean;
  readonly #prefix: Buffer;

  constructor(prefix: string) {
    this.#prefix = Buffer.from(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix, 'latin1');
    this.precedence = [PREFIX, this.#prefix.length];
    this.fitsAll = this.#prefix.length === 0;
  }

  matches({ path }: Head): boolean {
    const { length } = this.#prefix;
    if (length === 0) return true;
    const end = pathEnd(path);
    const stop = path.start + length;
    if (stop > end || path.buffer.compare(this.#prefix, 0, length, path.start, stop) !== 0) return false;
    return stop === end || path.buffer[stop] === SLASH;
  }
}

/** The whole path. */
export class PathRegex implements Matcher {
  readonly precedence = [REGEX, 0];
  readonly fitsAll = false;
  readonly #regex: RegExp;

  /** Throws a SyntaxError for an expression that is none. */
  constructor(expression: string) {
    this.#regex = routeExpression(expression);
  }

  matches({ path }: Head): boolean {
    return this.#regex.test(path.buffer.toString('latin1', path.start, pathEnd(path)));
  }
}

export class MethodIs implements Matcher {
  readonly precedence = [1];
  readonly fitsAll = false;
  readonly #method: Buffer;

  constructor(method: string) {
    this.#method = Buffer.from(method, 'latin1');
  }

  matches({ method }: Head): boolean {
    const { length } = this.#method;
    return (
      method.end - method.start === length &&
      method.buffer.compare(this.#method, 0, length, method.start, method.end) === 0
    );
  }
}

/** Any field of that name whose whole value fits. */
export class FieldMatches implements Matcher {
  readonly precedence = [1];
  readonly fitsAll = false;
  readonly #name: Buffer;
  readonly #value: string | RegExp;

  /** @param value a text, or an expression for the whole value */
  constructor(name: string, value: string | RegExp) {
    this.#name = Buffer.from(name.toLowerCase(), 'latin1');
    this.#value = value;
  }

  matches(head: Head): boolean {
    for (let i = 0; i < head.count; i++) {
      const name = head.nameBuffer[i];
      if (name === undefined) continue;
      if (!equalsIgnoreCase(name, head.nameStart[i] ?? 0, head.nameEnd[i] ?? 0, this.#name)) continue;
      if (fitsText(this.#value, head.value(i))) return true;
    }
    return false;
  }
}

/** A parameter of the query, decoded. */
export class QueryMatches implements Matcher {
  readonly precedence = [1];
  readonly fitsAll = false;
  readonly #name: string;
  readonly #value: string | RegExp;

  constructor(name: string, value: string | RegExp) {
    this.#name = name;
    this.#value = value;
  }

  matches({ path }: Head): boolean {
    const query = path.buffer.toString('latin1', pathEnd(path) + 1, path.end);
    if (query === '') return false;
    // The first of a name counts (Gateway API).
    const value = new URLSearchParams(query).get(this.#name);
    return value !== null && fitsText(this.#value, value);
  }
}

/** The name of the authority, without its port. As at Linkerd's proxy a final dot counts only where the route has one too; case does not, as in DNS. */
export class HostMatches implements Matcher {
  readonly precedence: readonly number[];
  readonly fitsAll = false;
  readonly #exact: string | undefined;
  readonly #suffix: string;

  /** @param suffix what must stand below: `.example.com` */
  constructor(exact: string | undefined, suffix: string) {
    this.#exact = exact?.toLowerCase();
    this.#suffix = suffix.toLowerCase();
    this.precedence = exact === undefined ? [PREFIX, suffix.length] : [EXACT, exact.length];
  }

  matches({ authority }: Head): boolean {
    const host = spanText(authority)
      .toLowerCase()
      .replace(/:[0-9]+$/, '');
    const relative = host.endsWith('.') ? host.slice(0, -1) : host;
    if (this.#exact === undefined)
      return (this.#suffix.endsWith('.') ? host : relative).endsWith(this.#suffix);
    return (this.#exact.endsWith('.') ? host : relative) === this.#exact;
  }
}

/** Higher precedence first; equal ones keep their order. */
export function byPrecedence(a: Matcher, b: Matcher): number {
  const length = Math.max(a.precedence.length, b.precedence.length);
  for (let i = 0; i < length; i++) {
    const difference = (b.precedence[i] ?? 0) - (a.precedence[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

const SLASH = 47;
const QUESTION = 63;

function pathEnd({ buffer, start, end }: Head['path']): number {
  for (let i = start; i < end; i++) if (buffer[i] === QUESTION) return i;
  return end;
}

function fitsText(value: string | RegExp, text: string): boolean {
  return typeof value === 'string' ? text === value : value.test(text);
}
