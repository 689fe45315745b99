import { randomInt } from 'node:crypto';

/**
 * An address of 127.0.0.0/8 that nobody else uses, but for a chance of one in millions: for what listens on a port that
 * is given, or on the same one again later. On 127.0.0.1 any connection of another process may take a port that was let
 * go for a moment.
 */
export function freshAddress(): string {
  return `127.${randomInt(32, 224)}.${randomInt(0, 256)}.${randomInt(1, 255)}`;
}

/** A port where nobody listens, on any address. One that was let go may be another process's by the time it is dialled. */
export const CLOSED_PORT = 1;
