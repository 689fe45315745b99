import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { load } from 'js-yaml';
import { startTimeOf } from './node/process-table.ts';
import { scriptImages, temporaryDir } from './testing/running-cluster.ts';

interface Ready {
  ready: boolean;
  url: string;
  /** Path of the file. */
  kubeconfig: string;
}

const main = fileURLToPath(new URL('main.ts', import.meta.url));

async function start(config: string): Promise<{ child: ChildProcess; ready: Ready }> {
  const child = spawn(process.execPath, [main, '--config', config], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, ready: JSON.parse(line) as Ready };
}

/** One call of the API with the kubeconfig's own certificate. */
function call(
  ready: Ready,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: unknown }> {
  const config = load(readFileSync(ready.kubeconfig, 'utf8')) as {
    clusters: { cluster: Record<string, string> }[];
    users: { user: Record<string, string> }[];
  };
  const decode = (text = ''): Buffer => Buffer.from(text, 'base64');
  const cluster = config.clusters[0]?.cluster;
  const user = config.users[0]?.user;
  return new Promise((resolve, reject) => {
    const request = https.request(
      new URL(path, ready.url),
      {
        method,
        agent: false,
        ca: decode(cluster?.['certificate-authority-data']),
        cert: decode(user?.['client-certificate-data']),
        key: decode(user?.['client-key-data']),
        headers: { 'content-type': 'application/json' },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString()) });
        });
      },
    );
    request.once('error', reject);
    request.end(body === undefined ? '' : JSON.stringify(body));
  });
}

/** The first pid that stands in a file which a pod writes: one for each run. */
async function runs(path: string, count: number): Promise<number[]> {
  for (;;) {
    const pids = existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean).map(Number) : [];
    if (pids.length >= count) return pids;
    // The file belongs to another process, which nothing here can await.
    await new Promise<void>((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}

await it('comes up again after kill -9 with what it had acknowledged, replaces its pods, and ends cleanly', async (t) => {
  const dir = await temporaryDir({ after: (work) => t.after(work) });
  const config = join(dir, 'config.json');
  const pids = join(dir, 'pids');
  writeFileSync(
    config,
    JSON.stringify({ name: 'again', dataDir: join(dir, 'data'), images: scriptImages, exitWithStdin: true }),
  );

  const first = await start(config);
  t.after(() => first.child.kill('SIGKILL'));
  assert.equal(statSync(first.ready.kubeconfig).mode & 0o777, 0o600, 'it holds a private key');
  const namespace = '/api/v1/namespaces/default';
  for (;;) {
    const { status } = await call(first.ready, 'GET', `${namespace}/serviceaccounts/default`);
    if (status === 200) break;
  }
  const created = await call(first.ready, 'POST', `${namespace}/pods`, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    // Two dollar signs stand for one in arguments.
    spec: { containers: [{ name: 'main', image: 'sh', args: [`echo $$$$ >> ${pids}; exec sleep 300`] }] },
  });
  assert.equal(created.status, 201);
  const [before = 0] = await runs(pids, 1);
  const acknowledged = await call(first.ready, 'POST', `${namespace}/configmaps`, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'acknowledged' },
  });
  assert.equal(acknowledged.status, 201);
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');
  assert.notEqual(startTimeOf(before), undefined, 'the pod outlives the cluster that was killed');

  const second = await start(config);
  t.after(() => second.child.kill('SIGKILL'));
  assert.equal(second.ready.url, first.ready.url, 'the same network again');
  assert.equal(startTimeOf(before), undefined, 'what was left of the first run is gone when the API answers');
  const kept = await call(second.ready, 'GET', `${namespace}/configmaps/acknowledged`);
  assert.equal(kept.status, 200);
  const [, after = 0] = await runs(pids, 2);
  assert.notEqual(startTimeOf(after), undefined);

  // A second process on the same directory must not touch it.
  const intruder = spawn(process.execPath, [main, '--config', config], {
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  const [refused] = (await once(intruder, 'exit')) as [number];
  assert.equal(refused, 2);

  second.child.stdin?.end();
  const [code] = (await once(second.child, 'exit')) as [number];
  assert.equal(code, 0, 'ends with its standard input');
  assert.equal(startTimeOf(after), undefined, 'no process is left');
});

await it('refuses a configuration that is wrong, naming what', async (t) => {
  const dir = await temporaryDir({ after: (work) => t.after(work) });
  const config = join(dir, 'config.json');
  writeFileSync(config, JSON.stringify({ name: 'x', dataDir: dir, images: { web: { command: [] } } }));
  const child = spawn(process.execPath, [main, '--config', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  const chunks: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 1);
  assert.match(Buffer.concat(chunks).toString(), /images\[\\"web\\"\]\.command .* must be a list of words/);
});
