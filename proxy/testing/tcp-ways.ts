import assert from 'node:assert/strict';
import { tcpBindings } from '../transport/tcp-bindings.ts';

const bindings = tcpBindings();
assert.ok(bindings !== undefined, 'this runtime has what is below its sockets');

/** What is below the runtime's sockets. */
export const handles = bindings;

/** Both ways to make and to accept plain connections, for tests that hold for either. */
export const tcpWays = [
  ['handles', handles],
  ['sockets', undefined],
] as const;
