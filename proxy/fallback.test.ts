import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWirePair } from './testing/mesh/wire-pair.ts';
import type { Logger } from '../workload-identity/index.ts';

const END = '\r\n\r\n';

/** In a process of its own: a runtime is tried once. */
test('a pair of sidecars whose runtime has other insides says so, and serves on public streams', async (t) => {
  t.mock.method(process as unknown as { binding(name: string): unknown }, 'binding', () => ({}));
  const warned: string[] = [];
  const log: Logger = {
    debug() {},
    info() {},
    warn: (fields, message) => warned.push(JSON.stringify([fields, message])),
    error() {},
  };
  const pair = await startWirePair({ log });
  t.after(() => pair.mesh.close());
  const name = await pair.service('fallen-back', async (app) => {
    await app.until(END);
    app.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello');
  });
  const wire = await pair.dial();
  wire.socket.write(`GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
  assert.match(await wire.until('hello'), /^HTTP\/1\.1 200 /);
  const told = warned.filter((line) => line.includes('public streams'));
  assert.equal(told.length, 2);
  for (const line of told) assert.match(line, /"transport":"stream".*no socket-handle interface/);
});
