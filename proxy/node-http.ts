/**
 * `node:http` as its own modules have it. An `import` of it would evaluate every export, also the one behind which the runtime loads a whole client for `fetch`: a
 * quarter of a sidecar's start, and 3 MiB of memory for as long as it lives.
 */
export const http = process.getBuiltinModule('node:http');
