import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { handleWrap } from './handle-transport.ts';
import { wrapStream } from './stream-transport.ts';
import type { Transport, Wrap } from './transport.ts';

/** Which transport this process uses, and why. */
export interface ChosenTransport {
  kind: 'handle' | 'stream';
  wrap: Wrap;
  reason: string;
}

/** Larger than a socket buffer's default, so that the self-test meets partial and asynchronous writes. */
const PROBE_BYTES = 1024 * 1024;
/** ms for a loopback exchange of PROBE_BYTES that takes a few; a runtime whose handles hang must not hang the start. */
const PROBE_TIMEOUT_MS = 3_000;

/**
 * Tries the socket-handle transport on a loopback connection; public streams when this runtime does not pass. Call once, at start-up.
 * @param wanted `streams`: without trying
 */
export async function chooseTransport(
  wanted: 'fastest' | 'streams' = 'fastest',
  candidate: Wrap | undefined = handleWrap(wrapStream),
): Promise<ChosenTransport> {
  if (wanted === 'streams')
    return { kind: 'stream', wrap: wrapStream, reason: 'public streams are asked for' };
  if (candidate === undefined) {
    return { kind: 'stream', wrap: wrapStream, reason: 'this runtime has no socket-handle interface' };
  }
  const failure = await probe(candidate);
  if (failure === undefined) return { kind: 'handle', wrap: candidate, reason: 'the self-test passed' };
  return { kind: 'stream', wrap: wrapStream, reason: `the self-test of socket handles failed: ${failure}` };
}

/** Sends a known pattern through both ends and back; resolves with what went wrong. */
function probe(wrap: Wrap): Promise<string | undefined> {
  return new Promise((resolve) => {
    const sockets: Socket[] = [];
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.push(socket);
      attempt(() => echo(wrap(socket)));
    });
    const timeout = setTimeout(() => finish('it did not answer'), PROBE_TIMEOUT_MS);
    const finish = (failure: string | undefined): void => {
      clearTimeout(timeout);
      for (const socket of sockets) socket.destroy();
      server.close(() => resolve(failure));
    };
    const attempt = (run: () => void): void => {
      try {
        run();
      } catch (error) {
        finish(String(error));
      }
    };
    server.once('error', (error) => finish(error.message));
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
      sockets.push(socket);
      socket.once('error', (error) => finish(error.message));
      socket.once('connect', () => attempt(() => sendPattern(wrap(socket), finish)));
    });
  });
}

function echo(transport: Transport): void {
  transport.handler = {
    onData: (buffer, start, end) => {
      if (!transport.write(buffer, start, end)) transport.pause();
    },
    onDrain: () => transport.resume(),
    onEnd: () => transport.end(),
    onClose: () => undefined,
  };
}

function sendPattern(transport: Transport, finish: (failure: string | undefined) => void): void {
  const pattern = Buffer.alloc(PROBE_BYTES, 'isthmus transport self-test ');
  let received = 0;
  let done = false;
  const once = (failure: string | undefined): void => {
    if (!done) finish(failure);
    done = true;
  };
  transport.handler = {
    onData: (buffer, start, end) => {
      if (buffer.compare(pattern, received, received + end - start, start, end) !== 0)
        once('bytes came back changed');
      received += end - start;
    },
    onDrain: () => undefined,
    onEnd: () => once(received === pattern.length ? undefined : 'bytes were lost'),
    onClose: () => once('the connection closed'),
  };
  transport.write(pattern, 0, pattern.length);
  transport.end();
}
