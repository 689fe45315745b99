import type { Runtime, RuntimeOptions } from '../runtime.ts';
import { type Admin, adminHost, startAdmin } from './admin.ts';

/** What the admin ports of a sidecar and of a gateway differ in. */
export interface PartAdminOptions {
  readonly port: number;
  /** Why requests cannot be served now; undefined: they can. */
  readonly unready: () => string | undefined;
  /** Ends the process in order, on `POST /shutdown`. Undefined: nobody may ask for that. */
  readonly shutDown?: (() => void) | undefined;
}

/**
 * Starts the admin port of a process of the data plane. Rejects with an error that names the address when it cannot be
 * bound.
 */
export function startPartAdmin(
  runtime: Runtime,
  { logLevel }: RuntimeOptions,
  { port, unready, shutDown }: PartAdminOptions,
): Promise<Admin> {
  const { config, registry, wrap, timers } = runtime;
  return startAdmin({
    host: adminHost(config.pod.ip),
    port,
    registry,
    unready,
    env: process.env,
    wrap,
    timers,
    ...(logLevel === undefined ? {} : { logLevel }),
    ...(shutDown === undefined ? {} : { shutDown }),
  });
}
