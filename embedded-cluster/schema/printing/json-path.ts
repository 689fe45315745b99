import { isDeepStrictEqual } from 'node:util';

/**
 * The JSONPath of additionalPrinterColumns and `kubectl -o jsonpath` as far as columns use it: fields, `['field']`, indices, slices, `*`, and
 * filters `[?(@.path op literal)]` or `[?(@.path)]`.
 */

type Step =
  | { type: 'field'; name: string }
  | { type: 'all' }
  | { type: 'slice'; start: number | undefined; end: number | undefined }
  | { type: 'index'; index: number }
  | { type: 'filter'; path: Step[]; operator: string | undefined; literal: unknown };

export type JsonPath = readonly Step[];

/** A path that cannot be read finds nothing: a bad column must not keep a CRD from being listed. */
export function parseJsonPath(text: string): JsonPath {
  return new Parser(text).parse() ?? [{ type: 'index', index: Number.NaN }];
}

/** All values that the path leads to; missing fields lead to none. */
export function evaluateJsonPath(path: JsonPath, root: unknown): unknown[] {
  return path.reduce<unknown[]>((values, step) => values.flatMap((value) => follow(value, step)), [root]);
}

function follow(value: unknown, step: Step): unknown[] {
  switch (step.type) {
    case 'field': {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step.name)) return [];
      const child = (value as Record<string, unknown>)[step.name];
      return child === null ? [] : [child];
    }
    case 'all':
      return typeof value === 'object' && value !== null ? Object.values(value) : [];
    case 'index':
      return Array.isArray(value) ? value.slice(step.index, step.index + 1 || undefined) : [];
    case 'slice':
      return Array.isArray(value) ? value.slice(step.start, step.end) : [];
    default:
      return Array.isArray(value) ? value.filter((item) => passes(item, step)) : [];
  }
}

function passes(item: unknown, filter: Extract<Step, { type: 'filter' }>): boolean {
  const found = evaluateJsonPath(filter.path, item);
  if (filter.operator === undefined) return found.length > 0;
  return found.some((value) => compare(value, filter.operator ?? '', filter.literal));
}

function compare(value: unknown, operator: string, literal: unknown): boolean {
  if (operator === '==') return isDeepStrictEqual(value, literal);
  if (operator === '!=') return !isDeepStrictEqual(value, literal);
  if (typeof value !== typeof literal || (typeof value !== 'number' && typeof value !== 'string'))
    return false;
  const other = literal as typeof value;
  if (operator === '<') return value < other;
  if (operator === '<=') return value <= other;
  return operator === '>' ? value > other : value >= other;
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    const braced = /^\s*\{(.*)\}\s*$/s.exec(text);
    this.#text = (braced?.[1] ?? text).trim();
  }

  parse(): Step[] | undefined {
    this.#match(/\$/y);
    const steps = this.#steps();
    return steps === undefined || this.#at < this.#text.length ? undefined : steps;
  }

  #steps(): Step[] | undefined {
    const steps: Step[] = [];
    for (;;) {
      const name = this.#match(/\.((?:\\.|[^.[\]\s=!<>()\\])+)/y);
      if (name !== undefined) {
        const field = (name[1] ?? '').replaceAll(/\\(.)/g, '$1');
        steps.push(field === '*' ? { type: 'all' } : { type: 'field', name: field });
      } else if (this.#match(/\[/y) !== undefined) {
        const step = this.#bracket();
        if (step === undefined || this.#match(/\s*\]/y) === undefined) return undefined;
        steps.push(step);
      } else {
        return steps;
      }
    }
  }

  #bracket(): Step | undefined {
    if (this.#match(/\*/y) !== undefined) return { type: 'all' };
    const quoted = this.#match(/(['"])(.*?)\1/y);
    if (quoted !== undefined) return { type: 'field', name: quoted[2] ?? '' };
    const slice = this.#match(/(-?\d*):(-?\d*)/y);
    if (slice !== undefined) return { type: 'slice', start: bound(slice[1]), end: bound(slice[2]) };
    const index = this.#match(/-?\d+/y);
    if (index !== undefined) return { type: 'index', index: Number(index[0]) };
    return this.#match(/\?\(\s*@/y) === undefined ? undefined : this.#filter();
  }

  #filter(): Step | undefined {
    const path = this.#steps();
    if (path === undefined) return undefined;
    const operator = this.#match(/\s*(==|!=|<=|>=|<|>)\s*/y)?.[1];
    if (operator === undefined) {
      return this.#match(/\s*\)/y) === undefined
        ? undefined
        : { type: 'filter', path, operator: undefined, literal: undefined };
    }
    const string = this.#match(/(['"])(.*?)\1/y);
    const bare = string === undefined ? this.#match(/true|false|-?\d+(?:\.\d+)?/y) : undefined;
    if (string === undefined && bare === undefined) return undefined;
    if (this.#match(/\s*\)/y) === undefined) return undefined;
    const literal: unknown = string === undefined ? JSON.parse(bare?.[0] ?? 'null') : (string[2] ?? '');
    return { type: 'filter', path, operator, literal };
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at += match[0].length;
    return match;
  }
}

function bound(text: string | undefined): number | undefined {
  return text === undefined || text === '' ? undefined : Number(text);
}
