import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import type { Server } from 'node:net';

/**
 * A cluster's addresses: 127.x.y.0/24, held by a listening socket on its first address for as long as the cluster runs. x stays between 64 and 127, away
 * from the 127.0.0.0/16 that everything else on a machine uses.
 */
export interface ClusterNetwork {
  /** `127.x.y`. */
  readonly prefix: string;
  /** `127.x.y.1`: API server and DNS. */
  readonly firstAddress: string;
  release(): Promise<void>;
}

/** The port whose listener is the claim: beside the API server's 6443, which may be asked to be another. */
const CLAIM_PORT = 6442;
const FIRST_X = 64;
const LAST_X = 127;
/** So many networks taken one after the other means that something else is wrong. */
const MAX_TRIES = 64;

/** Takes `wanted` (a prefix from an earlier start) or, when it is taken or absent, a random one. Throws when none can be had. */
export async function claimNetwork(wanted?: string): Promise<ClusterNetwork> {
  let reason: unknown;
  for (let attempt = 0; attempt < MAX_TRIES; attempt += 1) {
    const prefix =
      attempt === 0 && wanted !== undefined
        ? wanted
        : `127.${randomInt(FIRST_X, LAST_X + 1)}.${randomInt(0, 256)}`;
    const firstAddress = `${prefix}.1`;
    try {
      const server = await listen(firstAddress, CLAIM_PORT);
      return { prefix, firstAddress, release: () => close(server) };
    } catch (error) {
      reason = error;
    }
  }
  const text = reason instanceof Error ? reason.message : String(reason);
  throw new Error(
    `no 127.x.y.0/24 network could be claimed after ${MAX_TRIES} tries (last: ${text}); stop clusters that are not needed`,
  );
}

/** Whether a process here can listen on the address. */
export async function canBind(address: string): Promise<boolean> {
  try {
    await close(await listen(address, 0));
    return true;
  } catch {
    return false;
  }
}

function listen(host: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.destroy();
    });
    server.once('error', reject);
    // The claim alone keeps no process alive.
    server.listen({ host, port, exclusive: true }, () => {
      server.unref();
      resolve(server);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
  });
}
