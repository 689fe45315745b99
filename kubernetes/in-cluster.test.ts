import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { path as paths } from '../api/names.ts';
import { inClusterConfig } from './in-cluster.ts';

test('address from the environment, CA and token from below the volume root; a renewed token is seen', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'in-cluster-'));
  t.after(() => rm(root, { recursive: true }));
  const folder = join(root, paths.serviceAccount);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'ca.crt'), 'CA');
  await writeFile(join(folder, 'token'), 'one\n');
  const env = {
    KUBERNETES_SERVICE_HOST: '127.0.0.1',
    KUBERNETES_SERVICE_PORT: '6443',
    ISTHMUS_VOLUME_ROOT: root,
  };
  const config = inClusterConfig(env);
  assert.equal(config.server, 'https://127.0.0.1:6443');
  assert.equal(config.ca, 'CA');
  assert.ok(config.auth?.kind === 'token');
  assert.equal(await config.auth.token(), 'one\n');
  await writeFile(join(folder, 'token'), 'two\n');
  assert.equal(await config.auth.token(), 'two\n');
  assert.equal(
    inClusterConfig({ ...env, KUBERNETES_SERVICE_HOST: 'fd00::1' }).server,
    'https://[fd00::1]:6443',
  );
});

test('outside a pod the error names what is missing', () => {
  assert.throws(
    () => inClusterConfig({}),
    /KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not both set/,
  );
  const env = { KUBERNETES_SERVICE_HOST: 'h', KUBERNETES_SERVICE_PORT: '1', ISTHMUS_VOLUME_ROOT: '/nowhere' };
  assert.throws(() => inClusterConfig(env), /\/nowhere\/var\/run.*ca\.crt can not be read/);
});
