import { setImmediate } from 'node:timers/promises';

/** Connections and listeners of this process that are open. */
export function resources(): { connections: number; listeners: number } {
  const open = process.getActiveResourcesInfo();
  const count = (name: string): number => open.filter((one) => one === name).length;
  return { connections: count('TCPSocketWrap'), listeners: count('TCPServerWrap') };
}

/** Resolves when it holds: closed sockets are gone some turns of the event loop later. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await setImmediate();
}
