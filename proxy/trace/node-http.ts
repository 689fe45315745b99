import type * as http from 'node:http';

/**
 * `node:http` as its own modules have it, loaded when it is asked for first: until there is a certificate a start has
 * better things to do. An `import` of it would also evaluate every export, and behind one of them the runtime loads a
 * whole client for `fetch`: a quarter of a sidecar's start, and 3 MiB of memory for as long as it lives.
 */
export function nodeHttp(): typeof http {
  return process.getBuiltinModule('node:http');
}
