/**
 * ms without a byte after which the kernel asks a peer whether it is there, as Linkerd's proxy has it; libuv then asks
 * ten times, a second apart. A machine that vanished leaves connections behind on which nobody may ever write: opaque
 * ones, answers that are waited for.
 */
export const KEEP_ALIVE_MS = 10_000;

/** For sockets and servers of the runtime's. */
export const keepAliveOptions = { keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS } as const;

/** Asks for it on a connection that has no socket above it. */
export function keepAlive(handle: { setKeepAlive(on: boolean, afterSeconds: number): number }): void {
  handle.setKeepAlive(true, KEEP_ALIVE_MS / 1000);
}
