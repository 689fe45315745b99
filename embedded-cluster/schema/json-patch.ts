import { isDeepStrictEqual } from 'node:util';
import { inapplicablePatch, malformedPatch } from './errors.ts';

interface Operation {
  op: string;
  path: string;
  from?: string;
  value?: unknown;
}

type Container = Record<string, unknown> | unknown[];

/**
 * RFC 6902 (with one leniency of the real server, see `replace`). Returns a new document; the given one stays as it
 * was. A malformed patch throws 400, one that cannot be applied (missing path, failed `test`) 422.
 */
export function jsonPatch<T>(object: T, operations: unknown): T {
  if (!Array.isArray(operations)) {
    const type = operations === null ? 'null' : typeof operations;
    throw malformedPatch(
      `error decoding patch: json: cannot unmarshal ${type} into Go value of type []handlers.jsonPatchOp`,
    );
  }
  let document: unknown = structuredClone(object);
  for (const operation of operations as unknown[]) document = apply(document, checked(operation));
  return document as T;
}

const OPERATIONS = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test']);

function checked(operation: unknown): Operation {
  const { op, path, from } = (operation ?? {}) as Record<string, unknown>;
  if (typeof op !== 'string' || typeof path !== 'string') {
    throw malformedPatch('every operation of a JSON patch needs a string "op" and a string "path"');
  }
  if (!OPERATIONS.has(op)) throw inapplicablePatch();
  if ((op === 'move' || op === 'copy') && typeof from !== 'string') {
    throw malformedPatch(`the JSON patch operation "${op}" needs a string "from"`);
  }
  if (op !== 'remove' && op !== 'move' && op !== 'copy' && !Object.hasOwn(operation as object, 'value')) {
    throw malformedPatch(`the JSON patch operation "${op}" needs a "value"`);
  }
  return operation as Operation;
}

function apply(document: unknown, operation: Operation): unknown {
  const { op, path } = operation;
  switch (op) {
    case 'add':
      return add(document, path, structuredClone(operation.value));
    case 'remove':
      return remove(document, path);
    case 'replace':
      if (path === '') return structuredClone(operation.value);
      return write(document, path, structuredClone(operation.value));
    case 'move': {
      const from = operation.from ?? '';
      if (path.startsWith(`${from}/`)) {
        throw inapplicablePatch();
      }
      const value = read(document, from);
      return add(remove(document, from), path, value);
    }
    case 'copy':
      return add(document, path, structuredClone(read(document, operation.from ?? '')));
    case 'test':
      if (!isDeepStrictEqual(read(document, path), operation.value)) {
        throw inapplicablePatch();
      }
      return document;
    default:
      throw inapplicablePatch();
  }
}

function add(document: unknown, path: string, value: unknown): unknown {
  if (path === '') return value;
  const { container, key } = locate(document, path);
  if (Array.isArray(container)) {
    const index = key === '-' ? container.length : arrayIndex(key, container.length);
    container.splice(index, 0, value);
  } else {
    assign(container, key, value);
  }
  return document;
}

function remove(document: unknown, path: string): unknown {
  if (path === '') return null;
  read(document, path);
  const { container, key } = locate(document, path);
  if (Array.isArray(container)) container.splice(Number(key), 1);
  else delete container[key];
  return document;
}

function write(document: unknown, path: string, value: unknown): unknown {
  const { container, key } = locate(document, path);
  // Unlike RFC 6902 the real server replaces a field that is not there.
  if (Array.isArray(container)) container[arrayIndex(key, container.length - 1)] = value;
  else assign(container, key, value);
  return document;
}

function read(document: unknown, path: string): unknown {
  let value = document;
  for (const token of tokens(path)) value = child(value, token);
  return value;
}

function locate(document: unknown, path: string): { container: Container; key: string } {
  const parts = tokens(path);
  const key = parts.pop() ?? '';
  let container = document;
  for (const token of parts) container = child(container, token);
  if (typeof container !== 'object' || container === null) throw inapplicablePatch();
  return { container: container as Container, key };
}

function child(container: unknown, token: string): unknown {
  if (Array.isArray(container)) return container[arrayIndex(token, container.length - 1)];
  if (typeof container !== 'object' || container === null || !Object.hasOwn(container, token)) {
    throw inapplicablePatch();
  }
  return (container as Record<string, unknown>)[token];
}

function arrayIndex(token: string, highest: number): number {
  if (!/^(0|[1-9][0-9]*)$/.test(token) || Number(token) > highest) throw inapplicablePatch();
  return Number(token);
}

/** RFC 6901, section 4. */
function tokens(path: string): string[] {
  if (path === '') return [];
  if (!path.startsWith('/')) {
    throw inapplicablePatch();
  }
  return path
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** A plain assignment of `__proto__` would change the prototype instead of adding a field. */
function assign(container: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(container, key, { value, writable: true, enumerable: true, configurable: true });
}
