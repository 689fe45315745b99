import { handleWrap } from '../transport/handle-transport.ts';
import { wrapStream } from '../transport/stream-transport.ts';
import type { Wrap } from '../transport/transport.ts';

/** Both makers of transports, for the suites that must pass on either. Where this runtime has no socket handles, the first throws. */
export const TRANSPORTS: readonly (readonly [name: string, wrap: Wrap])[] = [
  ['socket handles', handleWrap(wrapStream) ?? noHandles],
  ['public streams', wrapStream],
];

function noHandles(): never {
  throw new Error('this runtime has no socket-handle interface');
}
