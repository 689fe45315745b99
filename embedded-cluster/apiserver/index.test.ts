import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AddressInfo, connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { silentLog } from '../../log/index.ts';
import { createApiServer } from './index.ts';

/** Writes ConfigMaps without end and prints each name once its write is acknowledged. */
const WRITER = `
  const { createApiServer } = await import(process.argv[1]);
  const log = { info() {}, warn() {}, error() {} };
  const { loopback } = await createApiServer({ dataDir: process.argv[2], address: '127.0.0.1', port: 0, clusterName: 'c', logger: log });
  for (let i = 0; ; i++) {
    const { metadata } = await loopback.create('configmaps', { metadata: { name: 'n' + i, namespace: 'default' } });
    process.stdout.write(metadata.name + ' ' + metadata.resourceVersion + '\\n');
    await new Promise((resolve) => setImmediate(resolve));
  }
`;

void test('killed with SIGKILL in the middle of writing, it comes up with everything it had acknowledged', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'apiserver-'));
  t.after(() => rm(dataDir, { recursive: true }));
  const writer = spawn(
    process.execPath,
    ['--input-type=module', '-e', WRITER, join(import.meta.dirname, 'index.ts'), dataDir],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const acknowledged: [string, string][] = [];
  for await (const line of createInterface({ input: writer.stdout })) {
    const [name = '', version = ''] = line.split(' ');
    // A line may be cut off by the kill itself; a whole one ends with its version.
    if (version !== '') acknowledged.push([name, version]);
    if (acknowledged.length === 200) writer.kill('SIGKILL');
  }
  if (writer.exitCode === null && writer.signalCode === null) await once(writer, 'exit');
  const server = await createApiServer({
    dataDir,
    address: '127.0.0.1',
    port: 0,
    clusterName: 'c',
    logger: silentLog,
  });
  t.after(() => server.close());
  assert.ok(acknowledged.length >= 200);
  for (const [name, version] of acknowledged.slice(0, -1)) {
    assert.equal(server.loopback.get('configmaps', 'default', name)?.metadata.resourceVersion, version);
  }
  assert.equal((await stat(join(dataDir, 'pki', 'ca.key'))).mode & 0o077, 0);
});

void test('the same folder keeps its authority, so that clients need no new kubeconfig', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'apiserver-'));
  t.after(() => rm(dataDir, { recursive: true }));
  const options = { dataDir, address: '127.0.0.1', port: 0, clusterName: 'c', logger: silentLog };
  const first = await createApiServer(options);
  const { caCertificate } = first;
  // A second server on the same database would write over the first.
  await assert.rejects(createApiServer(options), /database is locked/);
  await first.close();
  const second = await createApiServer(options);
  assert.equal(second.caCertificate, caCertificate);
  await second.close();
});

void test('a port in use is told, and leaves nothing open behind', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'apiserver-'));
  t.after(() => rm(dataDir, { recursive: true }));
  const options = { dataDir, address: '127.0.0.1', port: 0, clusterName: 'c', logger: silentLog };
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  await assert.rejects(
    createApiServer({ ...options, port }),
    /can not listen on 127\.0\.0\.1:\d+ .*EADDRINUSE/,
  );
  taken.close();
  const server = await createApiServer(options);
  await server.close();
});

void test('a connection that says nothing keeps the server from nothing', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'apiserver-'));
  t.after(() => rm(dataDir, { recursive: true }));
  const options = { dataDir, address: '127.0.0.1', port: 0, clusterName: 'c', logger: silentLog };
  const server = await createApiServer(options);
  const silent = connect(Number(new URL(server.url).port), '127.0.0.1');
  const closed = once(silent, 'close');
  await once(silent, 'connect');
  await server.close();
  await closed;
});
