import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { env, port, telemetryEnv } from '../../api/names.ts';
import {
  type ControlPlaneProcess,
  startControlPlaneProcess,
} from '../../control-plane/testing/control-plane-process.ts';
import { metricSum } from '../../proxy/testing/mesh/http.ts';
import { startPodApp, type PodApp } from './apps.ts';
import { http1Load } from './load.ts';
import { Parts, type Part } from './parts.ts';

const H1 = 'web.shop:80';
const MIB = 1024 * 1024;
/** Lines of which a pipe and what may wait before it hold a third: 64 KiB and 1 MiB, of some 300 bytes each. */
const LINES = 10_000;
const CLIENTS = 8;

/** A pipe as a container's runtime gives one, whose reader is there and does not read. */
class UnreadPipe {
  readonly #dir = mkdtempSync(join(tmpdir(), 'isthmus-pipe-'));
  readonly #reader: number;
  /** For the process that writes. */
  readonly writer: number;

  constructor() {
    const path = join(this.#dir, 'pipe');
    execFileSync('mkfifo', [path]);
    this.#reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    this.writer = openSync(path, constants.O_WRONLY);
  }

  close(): void {
    for (const fd of [this.#reader, this.writer]) closeSync(fd);
    rmSync(this.#dir, { recursive: true });
  }
}

/** Connections that are refused, each with a line in the log of the process. */
async function beRefused(n: number, host: string, number: number): Promise<void> {
  for (let i = 0; i < n; i++) {
    const socket = connect({ host, port: number });
    socket.on('error', () => {});
    socket.end('no TLS at all');
    await once(socket.resume(), 'close');
  }
}

describe('where nobody reads what a sidecar writes', () => {
  const [out, error] = [new UnreadPipe(), new UnreadPipe()];
  let parts: Parts;
  let app: PodApp;
  let client: Part;
  let server: Part;

  before(async () => {
    parts = await Parts.create();
    server = await parts.start({
      name: 'server',
      env: { [telemetryEnv.accessLog]: 'json', [env.logLevel]: 'info' },
      outputs: [out.writer, error.writer],
    });
    app = await startPodApp(server.ip);
    client = await parts.start({ name: 'client', services: { [H1]: [server.endpoint(app.http1Port)] } });
  });
  after(async () => {
    await parts.close();
    app.close();
    out.close();
    error.close();
  });

  /** Requests that must all be answered. */
  async function ask(n: number): Promise<void> {
    const load = http1Load(() => client.ip, `http://${H1}/`, CLIENTS, false);
    await load.more(n);
    await load.stop();
    assert.deepEqual(load.counts.failed, []);
  }

  test('the access log holds up no request, and holds a bounded amount', async () => {
    await ask(LINES);
    const dropped = (): Promise<number> => metricSum(server.ip, 'access_log_dropped_lines_total');
    const first = await dropped();
    assert.ok(first > LINES / 2, `${first} lines were dropped`);
    const before = await server.look();
    await ask(LINES);
    const after = await server.look();
    assert.ok((await dropped()) >= first + LINES);
    const grown = after.heap + after.external - before.heap - before.external;
    assert.ok(grown < MIB, `${grown} bytes more after as many lines again`);
    assert.ok(after.descriptors <= before.descriptors + CLIENTS);
  });

  test("nor does the sidecar's own log", async () => {
    await beRefused(1_000, server.ip, port.inbound);
    await ask(100);
  });

  test('it ends in order all the same', async () => {
    assert.equal(await server.stop(), 0);
  });
});

describe('where nobody reads what the control plane writes', () => {
  const out = new UnreadPipe();
  let plane: ControlPlaneProcess;

  before(async () => {
    plane = await startControlPlaneProcess({ output: out.writer, logLevel: 'debug' });
    await until(() => isReady(plane.ip));
  });
  after(async () => {
    await plane.cleanUp();
    out.close();
  });

  test('it answers all the same, and ends in order', async () => {
    await beRefused(1_000, plane.ip, port.identity);
    assert.equal(await isReady(plane.ip), true);
    assert.equal(await plane.terminate(), 0);
  });
});

async function isReady(ip: string): Promise<boolean> {
  try {
    return (await fetch(`http://${ip}:${port.controlPlaneAdmin}/ready`)).ok;
  } catch {
    return false;
  }
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await setTimeout(50);
}
