import { join } from 'node:path';
import { openCluster } from '../../cli/cluster-access.ts';
import { startEmbeddedCluster, stopProcess } from '../../cli/clusters/embedded.ts';
// Compaction comes by time and by number of writes; a test has neither, and compacts the stopped server's database itself.
import { Store } from '../../embedded-cluster/apiserver/store/store.ts';
import type { ClientConfig } from '../../kubernetes/types.ts';
import { run } from '../cluster/harness.ts';
import { realKubeconfig, serverKind } from '../testing/api-server.ts';
import { type Cleaner, temporaryFolder } from '../testing/cleaner.ts';
import { Client } from './client.ts';
import { stringAt } from './json.ts';

/** The API server that the contract is asked of. */
export interface ContractServer {
  readonly client: Client;
  /** `v1.34` */
  readonly version: string;
  /** Resolves when it serves again at the same address. `compact`: revisions that are not current are lost. */
  restart(compact: boolean): Promise<void>;
}

/** Shell commands by which a real server is restarted, and compacted before. */
export const restartCommand = process.env['CONTRACT_RESTART'] ?? '';
export const compactCommand = process.env['CONTRACT_COMPACT'] ?? '';

/** The real server, or an embedded cluster that lives as long as the suite. */
export async function openServer(cleaner: Cleaner): Promise<ContractServer> {
  const server =
    serverKind === 'embedded' ? await startEmbedded(cleaner) : await connect(realKubeconfig, restartReal);
  cleaner.after(async () => server.client.close());
  return server;
}

async function startEmbedded(cleaner: Cleaner): Promise<ContractServer> {
  const options = {
    name: 'contract',
    clustersDir: join(await temporaryFolder(cleaner), 'clusters'),
    tied: true,
  };
  let { pid, ...started } = await startEmbeddedCluster(options);
  cleaner.after(() => stopProcess(pid ?? 0));
  return connect(started.kubeconfig, async (compact) => {
    await stopProcess(pid ?? 0);
    if (compact) compactStore(join(started.dir, 'data', 'apiserver', 'state.db'));
    pid = (await startEmbeddedCluster(options)).pid;
  });
}

function compactStore(path: string): void {
  const store = new Store({ path, now: Date.now, windowCount: 0 });
  store.compact();
  store.close();
}

async function restartReal(compact: boolean): Promise<void> {
  for (const command of [...(compact ? [compactCommand] : []), restartCommand]) {
    const { code, stderr } = await run(['sh', '-c', command]);
    if (code !== 0) throw new Error(`\`${command}\` ended with ${String(code)}: ${stderr}`);
  }
}

async function connect(kubeconfig: string, restart: ContractServer['restart']): Promise<ContractServer> {
  const { config, client: unused } = await openCluster({ kubeconfig });
  await unused.close();
  const client = clientFor(config);
  const { body } = await client.call('GET', '/version');
  const version = `v${stringAt(body, 'major')}.${stringAt(body, 'minor').replace(/\D+$/, '')}`;
  return { client, version, restart };
}

function clientFor({ server, ca, serverName, auth }: ClientConfig): Client {
  return new Client({
    server,
    ca,
    serverName,
    certificate: auth?.kind === 'certificate' ? { cert: auth.cert, key: auth.key } : undefined,
    headers: async (): Promise<Record<string, string>> => {
      if (auth?.kind === 'token') return { authorization: `Bearer ${await auth.token()}` };
      return auth?.kind === 'headers' ? auth.headers() : {};
    },
  });
}
