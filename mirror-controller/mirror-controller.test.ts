import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { silentLog } from '../kubernetes/log.ts';
import { resources } from '../kubernetes/resources.ts';
import { startFakeApiServer } from '../kubernetes/testing/fake-api-server.ts';
import type { WorkloadIdentity } from '../workload-identity/index.ts';
import { configFromEnv } from './config.ts';
import { startMirrorController } from './mirror-controller.ts';

const env = {
  ISTHMUS_CLUSTER_NAME: 'home',
  ISTHMUS_NAMESPACE: 'isthmus',
  POD_NAME: 'mirror-1',
  POD_IP: '127.0.0.1',
  ISTHMUS_ADMIN_PORT: '0',
};

test('it leads, is ready, shows its metrics, and lets go of the lease when it stops', async (t) => {
  const api = await startFakeApiServer();
  t.after(() => api.stop());
  api.put(resources.namespaces, { metadata: { name: 'isthmus' } });
  const holder = (): string | undefined =>
    api.find(resources.leases, 'isthmus', 'isthmus-mirror-controller')?.spec?.holderIdentity;
  const controller = await startMirrorController({
    config: configFromEnv(env),
    local: { server: api.url },
    // No link is made here: the identity is never asked.
    identity: {} as WorkloadIdentity,
    resolve: () => Promise.reject(new Error('no names here')),
    registry: new Registry(),
    logger: silentLog,
  });
  await api.until(() => holder() === 'mirror-1' && api.watchCount === 6);
  const get = (path: string) => fetch(`http://127.0.0.1:${controller.adminPort}${path}`);
  assert.equal((await get('/ready')).status, 200);
  assert.match(
    await (await get('/metrics')).text(),
    /controller_runtime_reconcile_total\{controller="links",result="error"\} 0/,
  );
  await controller.stop();
  assert.equal(holder(), '');
  await assert.rejects(get('/live'));
});

test('the environment is checked by name', () => {
  assert.throws(
    () => configFromEnv({ ...env, ISTHMUS_CLUSTER_NAME: '' }),
    /ISTHMUS_CLUSTER_NAME is not set: it must be the id of this cluster/,
  );
  assert.throws(
    () => configFromEnv({ ...env, ISTHMUS_LINK_HEAP_MIB: 'lots' }),
    /ISTHMUS_LINK_HEAP_MIB is "lots": it must be a whole number/,
  );
  assert.equal(configFromEnv(env).workerHeapMiB, 256);
});
