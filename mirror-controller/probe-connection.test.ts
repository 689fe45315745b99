import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer as createHttp2Server } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TLSSocket } from 'node:tls';
import { spiffeId } from '../api/names.ts';
import type { WorkloadIdentity, WorkloadNames } from '../workload-identity/index.ts';
import { localIdentity } from '../workload-identity/testing/local-identity.ts';
import { makeAnchor, workload } from '../workload-identity/testing/test-ca.ts';
import type { Made } from '../workload-identity/testing/test-ca.ts';
import { CLOSED_PORT } from '../test/testing/addresses.ts';
import { createProbe } from './probe-connection.ts';
import type { ProbeResult } from './probe-connection.ts';

const dir = await mkdtemp(join(tmpdir(), 'probe-'));
const cleanups: (() => unknown)[] = [() => rm(dir, { recursive: true })];
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

const anchor = await makeAnchor();
const stranger = await makeAnchor('another root');
const controllerNames = workload('isthmus-mirror-controller', 'east', 'isthmus');
const gatewayNames = workload('isthmus-gateway', 'west', 'isthmus');
const controller = await identity(controllerNames, anchor, [anchor]);
const gateway = await identity(gatewayNames, anchor, [anchor]);
const expected = spiffeId(gatewayNames);

async function identity(names: WorkloadNames, root: Made, trusted: Made[]): Promise<WorkloadIdentity> {
  const made = await localIdentity(names, root, trusted, dir);
  cleanups.push(() => made.stop());
  return made;
}

/** Listens on a free port until the end of the tests. */
async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A gateway as far as a probe sees it: it ends TLS, judges the client, and hands HTTP/2 on. Returns its port. */
async function serve(own: WorkloadIdentity, status: number | 'silence', alpn = 'isthmus/1'): Promise<number> {
  const http2 = createHttp2Server();
  http2.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    if (status === 'silence') return;
    stream.respond({ ':status': headers[':path'] === '/ready' ? status : 404 }, { endStream: true });
  });
  const inner = await listen(http2);
  return listen(
    createServer((raw) => {
      const options = own.serverOptions({ alpn: [alpn] });
      assert.ok(options !== undefined);
      const socket = new TLSSocket(raw, options);
      socket.on('error', () => {});
      socket.once('secure', () => {
        if (own.verifyPeer(socket) instanceof Error) {
          socket.destroy();
          return;
        }
        const plain = connect(inner, '127.0.0.1');
        plain.on('error', () => {});
        socket.pipe(plain).pipe(socket);
      });
    }),
  );
}

function probe(own: WorkloadIdentity, port: number, timeoutMs = 5000): Promise<ProbeResult> {
  return createProbe(own)({ address: '127.0.0.1', port, path: '/ready', timeoutMs, expected });
}

function failedWith(result: ProbeResult): [reason: string, trust: string] {
  assert.ok(result.kind === 'failed', 'the probe should have failed');
  return [result.reason, result.trust];
}

test('a gateway that answers 200 over verified mutual TLS is alive', async () => {
  const result = await probe(controller, await serve(gateway, 200));
  assert.equal(result.kind, 'alive');
});

test('503 is not ready, but trust is shared', async () => {
  assert.deepEqual(failedWith(await probe(controller, await serve(gateway, 503))), ['NotReady', 'shared']);
});

test('a gateway under an anchor that this cluster does not know', async () => {
  const foreign = await identity(gatewayNames, stranger, [stranger, anchor]);
  assert.deepEqual(failedWith(await probe(controller, await serve(foreign, 200))), [
    'UnknownAnchor',
    'refused',
  ]);
});

test('a gateway that does not know our anchor refuses us, though our side had connected', async () => {
  const strict = await identity(gatewayNames, anchor, [anchor]);
  const own = await identity(controllerNames, stranger, [stranger, anchor]);
  assert.deepEqual(failedWith(await probe(own, await serve(strict, 200))), [
    'ClosedAfterHandshake',
    'unknown',
  ]);
});

test('another workload at the address is not the gateway', async () => {
  const other = await identity(workload('web', 'west'), anchor, [anchor]);
  assert.deepEqual(failedWith(await probe(controller, await serve(other, 200))), ['PeerRefused', 'refused']);
});

test('something else that speaks mesh TLS is no gateway', async () => {
  const port = await serve(gateway, 200, 'transport.l5d.io/v1');
  assert.equal((await probe(controller, port)).kind, 'failed');
});

test('nobody there, and silence', async () => {
  const port = await serve(gateway, 'silence');
  assert.deepEqual(failedWith(await probe(controller, port, 50)), ['Timeout', 'unknown']);
  assert.deepEqual(failedWith(await probe(controller, CLOSED_PORT)), ['ConnectionFailed', 'unknown']);
});
