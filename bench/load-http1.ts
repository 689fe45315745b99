/** A closed loop of HTTP/1.1, where wrk is not installed. Argument: a `Load` as JSON. */
import { connect } from 'node:net';
import type { Load, LoadResult } from './load.ts';

/** Keep-alive connections, each with one request under way; answers are told apart by their declared length. */
async function drive(load: Load): Promise<LoadResult> {
  const request = Buffer.from(`GET ${load.target} HTTP/1.1\r\nHost: app\r\n\r\n`);
  const result: LoadResult = { requests: 0, failures: 0 };
  const end = Date.now() + load.durationMs;
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      const socket = connect({ host: load.host, port: load.port, noDelay: true });
      let left = -1;
      socket.once('connect', () => socket.write(request));
      socket.on('data', (chunk: Buffer) => {
        if (left < 0) left = lengthOf(chunk);
        left -= chunk.length;
        if (left > 0) return;
        left = -1;
        result.requests++;
        if (Date.now() < end) socket.write(request);
        else socket.destroy();
      });
      socket.once('error', () => result.failures++);
      socket.once('close', () => resolve());
    });
  await Promise.all(Array.from({ length: load.connections }, one));
  return result;
}

/** Bytes of a whole answer whose head is at the chunk's start. */
function lengthOf(chunk: Buffer): number {
  const head = chunk.toString('latin1', 0, chunk.indexOf('\r\n\r\n') + 4);
  return head.length + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
}

const result = await drive(JSON.parse(process.argv[2] ?? '') as Load);
process.send?.({ kind: 'result', result });
process.disconnect?.();
