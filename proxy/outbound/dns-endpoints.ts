import type { Clock, Logger, Resolve, Timer } from '../../workload-identity/index.ts';
import { type Endpoint, plainEndpoint } from '../balance/endpoint.ts';

/** ms between look-ups of a name that is in use. */
const REFRESH_MS = 30_000;
/** ms after a look-up that failed. */
const RETRY_MS = 1_000;

export interface ResolveNameOptions {
  resolve: Resolve;
  clock: Clock;
  log: Logger;
}

/**
 * Follows a name outside of the mesh by DNS. Calls back with plain endpoints; with undefined when the name has never
 * been resolved and could not be now (it is tried again). Addresses that were found hold while the name server is away.
 */
export function resolveName(
  authority: string,
  options: ResolveNameOptions,
  changed: (endpoints: readonly Endpoint[] | undefined) => void,
): { stop(): void } {
  let stopped = false;
  let known = false;
  let timer: Timer | undefined;
  const look = (): void => {
    options.resolve(authority).then(found, failed);
  };
  const found: (addresses: Awaited<ReturnType<Resolve>>) => void = (addresses) => {
    if (stopped) return;
    known = true;
    timer = options.clock.after(REFRESH_MS, look);
    changed(addresses.map(({ address, port }) => plainEndpoint(address, port)));
  };
  const failed = (error: unknown): void => {
    if (stopped) return;
    options.log.info({ authority, error: String(error) }, 'a name outside of the mesh was not resolved');
    timer = options.clock.after(known ? REFRESH_MS : RETRY_MS, look);
    if (!known) changed(undefined);
  };
  look();
  return {
    stop() {
      stopped = true;
      timer?.cancel();
    },
  };
}
