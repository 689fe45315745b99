import type { DescService } from '@bufbuild/protobuf';

/** Makes a value when it is asked for first. Reading the descriptor of a proto file takes ms: a process pays for those that it uses, when it does. */
export function lazy<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

const PARTS = [
  'kind',
  'file',
  'name',
  'typeName',
  'methods',
  'method',
  'deprecated',
  'proto',
  'toString',
] as const satisfies (keyof DescService)[];

/** A service's descriptor whose file is read when the first part of it is asked for. */
export function lazyService<T extends DescService>(make: () => T): T {
  const service = lazy(make);
  const parts = PARTS.map((part) => [part, { get: () => service()[part], enumerable: true }] as const);
  return Object.defineProperties({}, Object.fromEntries(parts)) as T;
}
