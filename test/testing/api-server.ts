import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCluster } from '../../cli/cluster-access.ts';
import { linkCredentials } from '../../kubernetes/credentials.ts';
import type { ClientConfig } from '../../kubernetes/types.ts';

/** Kubeconfig of the real API server that suites are run against; none: each suite starts an embedded cluster. */
export const realKubeconfig = process.env['TEST_KUBECONFIG'] ?? '';

export type ServerKind = 'embedded' | 'real';

/** The kind of API server that suites are run against. */
export const serverKind: ServerKind = realKubeconfig === '' ? 'embedded' : 'real';

/** An address of this machine at which the API server reaches webhooks of tests. For a server in a container it is the container network's gateway. */
export const webhookHost = process.env['TEST_WEBHOOK_HOST'] ?? '127.0.0.1';

/** An API server and how a cluster-admin reaches it. */
export interface RunningApiServer {
  kind: ServerKind;
  config: ClientConfig;
  stop(): Promise<void>;
}

/** The API server under test: the real one where there is one. */
export async function apiServerUnderTest(): Promise<RunningApiServer> {
  if (serverKind === 'embedded') return embeddedApiServer();
  const { config, client } = await openCluster({ kubeconfig: realKubeconfig });
  await client.close();
  return { kind: 'real', config, stop: () => Promise.resolve() };
}

/** An embedded cluster in this process, with nothing in it. */
async function embeddedApiServer(): Promise<RunningApiServer> {
  const { startCluster } = await import('../../embedded-cluster/index.ts');
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-test-api-'));
  const cluster = await startCluster({ name: 'test', dataDir: join(dir, 'data'), images: {} });
  return {
    kind: 'embedded',
    config: linkCredentials(cluster.kubeconfig),
    async stop() {
      await cluster.stop(0);
      await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
