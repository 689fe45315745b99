import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { env, path } from '../api/names.ts';
import { CLOSED_PORT, freshAddress } from '../test/testing/addresses.ts';
import { makeAnchor } from '../workload-identity/testing/test-ca.ts';

describe('the process', { concurrency: true }, () => {
  let dir: string;
  let usable: Record<string, string>;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'isthmus-mirror-controller-'));
    const anchor = await makeAnchor();
    const account = `${dir}${path.serviceAccount}`;
    await mkdir(account, { recursive: true });
    for (const file of ['token', 'ca.crt', 'anchors.crt'])
      await writeFile(join(account, file), file === 'token' ? file : anchor.pem);
    usable = {
      ISTHMUS_VOLUME_ROOT: dir,
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(CLOSED_PORT),
      [env.podName]: 'mirror-controller-1',
      [env.podNamespace]: 'isthmus',
      [env.podIp]: freshAddress(),
      [env.serviceAccount]: 'isthmus-mirror-controller',
      [env.clusterName]: 'east',
      [env.trustAnchorsFile]: join(account, 'anchors.crt'),
      [env.identityTokenFile]: join(account, 'token'),
      [env.identityAddress]: `127.0.0.1:${CLOSED_PORT}`,
      [env.destinationAddress]: `127.0.0.1:${CLOSED_PORT}`,
    };
  });
  after(() => rm(dir, { recursive: true }));

  function start(environment: Record<string, string>): ChildProcessByStdio<null, Readable, null> {
    const main = fileURLToPath(new URL('main.ts', import.meta.url));
    return spawn(process.execPath, [main], { stdio: ['ignore', 'pipe', 'inherit'], env: environment });
  }

  test('an environment that can not be used is told by the name of the variable, with exit code 64', async () => {
    const child = start({ ...usable, [env.clusterName]: '' });
    const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    assert.equal(code, 64);
    assert.match(stdout, /ISTHMUS_CLUSTER_NAME is not set/);
  });

  test('an address that is taken is told, with exit code 1: the next start may find it free', async (t) => {
    const taken = createServer();
    t.after(() => taken.close());
    const podIp = usable[env.podIp] ?? '';
    await once(taken.listen(0, podIp), 'listening');
    const { port } = taken.address() as AddressInfo;
    const child = start({ ...usable, ISTHMUS_ADMIN_PORT: String(port) });
    const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    assert.equal(code, 1);
    assert.match(stdout, new RegExp(`can not listen on ${podIp}:${port}`));
  });

  test('without API server and control plane it runs, and ends by SIGTERM with 0', async () => {
    const child = start(usable);
    const ended = once(child, 'exit');
    for await (const line of createInterface({ input: child.stdout }))
      if (line.includes('the mirror controller runs')) child.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
  });
});
