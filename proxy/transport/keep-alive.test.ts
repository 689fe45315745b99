import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { connectPlain } from './connect.ts';
import { listen, type Listener } from './listen.ts';
import { tcpWays } from '../testing/tcp-ways.ts';
import type { Connection } from './tcp-connection.ts';

const HOST = '127.0.0.1';
const skip = process.platform === 'linux' ? false : 'the kernel tells of its timers on Linux alone';
/** Of the timers that the kernel has for a connection. */
const KEEP_ALIVE_TIMER = '02';

/** The timers of the connections that have the port at either end. */
function timersOf(port: number): string[] {
  // 127.0.0.1 as a little-endian machine writes it.
  const end = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const established = '01';
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, remote, state]) => state === established && [local, remote].includes(end))
    .map(([, , , , , timer]) => timer?.split(':')[0] ?? '');
}

for (const [means, tcp] of tcpWays) {
  test(`a peer that vanished is noticed at either end, by ${means}`, { skip }, async (t) => {
    const accepted = Promise.withResolvers<Connection>();
    const listener = await new Promise<Listener>((resolve, reject) => {
      listen({ host: HOST, port: 0, tcp, onConnection: accepted.resolve }, (error, made) =>
        made === undefined ? reject(error) : resolve(made),
      );
    });
    t.after(() => listener.close());
    const connected = await new Promise<Connection>((resolve, reject) => {
      connectPlain({ host: HOST, port: listener.port, tcp }, (error, made) =>
        made === undefined ? reject(error) : resolve(made),
      );
    });
    t.after(() => connected.destroy());
    const connection = await accepted.promise;
    t.after(() => connection.destroy());
    assert.deepEqual(timersOf(listener.port), [KEEP_ALIVE_TIMER, KEEP_ALIVE_TIMER]);
  });
}
