import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { env, port } from '../../api/names.ts';
import { ask, metricSum } from '../../proxy/testing/mesh/http.ts';
import { becomes } from '../testing/eventually.ts';
import { startPodApp, type PodApp } from './apps.ts';
import { Parts, type Part } from './parts.ts';

const SOON = { limitMs: 20_000, everyMs: 50 };
const H1 = 'web.shop:80';
/** Descriptors of the sidecar: itself it holds some thirty. */
const LIMIT = 120;
/** Clients that connect: more than there are descriptors. */
const STRANGERS = 2 * LIMIT;

describe('a sidecar with fewer descriptors than there are clients', () => {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-descriptors-'));
  const log = join(dir, 'log');
  const out = openSync(log, 'w');
  const strangers: Socket[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let closed = 0;
  let parts: Parts;
  let app: PodApp;
  let client: Part;

  before(async () => {
    parts = await Parts.create();
    const server = await parts.start({ name: 'server' });
    app = await startPodApp(server.ip);
    const services = { [H1]: [server.endpoint(app.http1Port)] };
    client = await parts.start({
      name: 'client',
      services,
      limit: LIMIT,
      env: { [env.logLevel]: 'warn' },
      outputs: [out, 2],
    });
    // Its connection stands from here on.
    assert.equal(await status(agent), 200);
  });
  after(async () => {
    for (const socket of strangers) socket.destroy();
    agent.destroy();
    await parts.close();
    app.close();
    closeSync(out);
    rmSync(dir, { recursive: true });
  });

  async function status(by = new Agent()): Promise<number> {
    return (await ask(client.ip, `http://${H1}/`, { agent: by })).status;
  }
  const refused = (): Promise<number> =>
    metricSum(client.ip, 'inbound_connections_refused_total', 'reason="too-few-descriptors"');

  test('closes those for whom there is no room, counts them, and tells once', async () => {
    for (let i = 0; i < STRANGERS; i++) {
      const socket = connect(port.outbound, client.ip);
      socket.on('error', () => {});
      socket.once('close', () => closed++);
      strangers.push(socket.resume());
    }
    await becomes(
      'every stranger to be taken or closed',
      async () => (await refused()) === closed && closed > LIMIT,
      SOON,
    );
    assert.ok(closed < STRANGERS, 'nobody was taken');
    const lines = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.includes('too-few-descriptors'));
    assert.equal(lines.length, 1);
  });

  test('serves whom it has, and answers probes', async () => {
    assert.equal(await status(agent), 200);
    assert.equal((await fetch(`http://${client.ip}:${port.admin}/ready`)).status, 200);
    assert.ok((await metricSum(client.ip, 'process_open_fds')) < LIMIT);
    assert.equal(await metricSum(client.ip, 'process_max_fds'), LIMIT);
  });

  test('takes new clients when others have gone', async () => {
    for (const socket of strangers) socket.destroy();
    await becomes(
      'the descriptors to be free',
      async () => (await metricSum(client.ip, 'process_open_fds')) < LIMIT / 2,
      SOON,
    );
    const before = await refused();
    assert.equal(await status(), 200);
    assert.equal(await refused(), before);
  });

  test('a crowd at the admin port takes no descriptor from the apps', async () => {
    const crowd = Array.from({ length: STRANGERS }, () => connect(port.admin, client.ip).resume());
    strangers.push(...crowd);
    for (const socket of crowd) socket.on('error', () => {});
    await Promise.all(crowd.map((socket) => once(socket, 'connect')));
    const before = await refused();
    assert.equal(await status(), 200);
    assert.equal(await refused(), before);
  });
});
