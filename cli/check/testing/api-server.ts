import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApiServer } from '../../../embedded-cluster/apiserver/index.ts';
import { createClient } from '../../../kubernetes/client.ts';
import { linkCredentials } from '../../../kubernetes/credentials.ts';
import type { KubernetesClient } from '../../../kubernetes/types.ts';
import type { ClusterAccess } from '../../cluster-access.ts';
import { silentLog } from '../../../log/index.ts';

/** Work to be undone when a suite ends, the last first. */
export class Cleanups {
  readonly #work: (() => unknown)[] = [];

  add(work: () => unknown): void {
    this.#work.push(work);
  }

  async run(): Promise<void> {
    for (const work of this.#work.toReversed()) await work();
    this.#work.length = 0;
  }
}

/** An API server in this process, without controllers and nodes, and a cluster-admin's way to it. */
export interface TestServer extends ClusterAccess {
  /** Anything less than the admin's rights. */
  withToken(token: string): ClusterAccess;
  /** A token of a ServiceAccount, which is made where it is missing. */
  token(namespace: string, account: string, seconds?: number): Promise<string>;
  /** Another client of the admin, for who closes it. */
  another(): KubernetesClient;
}

/** @param aheadMs by how much the server's clock is wrong */
export async function startApiServer(cleanups: Cleanups, name: string, aheadMs = 0): Promise<TestServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'isthmus-check-'));
  const server = await createApiServer({
    dataDir,
    address: '127.0.0.1',
    port: 0,
    clusterName: name,
    logger: silentLog,
    now: () => Date.now() + aheadMs,
  });
  const config = linkCredentials(server.adminKubeconfig());
  const client = createClient(config);
  cleanups.add(async () => {
    await client.close();
    await server.close();
    await rm(dataDir, { recursive: true, force: true });
  });
  const { auth: _admin, ...anyone } = config;
  return {
    context: name,
    config,
    client,
    another: () => createClient(config),
    withToken(token) {
      const own = { ...anyone, auth: { kind: 'token' as const, token: () => token } };
      const access = { context: name, config: own, client: createClient(own) };
      cleanups.add(() => access.client.close());
      return access;
    },
    async token(namespace, account, seconds = 3_600) {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts`;
      await client.raw('POST', path, { metadata: { name: account } }).catch(() => undefined);
      const { status } = await client.raw<{ status: { token: string } }>('POST', `${path}/${account}/token`, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { expirationSeconds: seconds },
      });
      return status.token;
    },
  };
}
