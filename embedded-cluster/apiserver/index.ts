import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonLog } from '../../log/index.ts';
import type { LoopbackClient } from '../types.ts';
import { openCertificates } from './authn/certificates.ts';
import { SERVICE_ACCOUNT_ISSUER } from './authn/service-account-tokens.ts';
import { openSigningKey } from './authn/signing-key.ts';
import { aggregateClusterRoles } from './authz/aggregation.ts';
import { bootstrap } from './bootstrap.ts';
import { HttpsEndpoint } from './https-endpoint.ts';
import { adminKubeconfig } from './kubeconfig.ts';
import { API_SERVICE_ADDRESS } from './operations/service-allocation.ts';
import type { ApiServerOptions } from './options.ts';
import { createParts } from './parts.ts';
import type { Store } from './store/store.ts';

export type { DialService } from './admission/webhooks.ts';
export type { Kubelet, PodLogRequest } from './kubelet.ts';
export type { ApiServerOptions } from './options.ts';

/** A running API server. */
export interface ApiServer {
  /** `https://127.64.3.1:6443` */
  readonly url: string;
  readonly address: string;
  readonly port: number;
  /** PEM; what `kube-root-ca.crt` holds. */
  readonly caCertificate: string;
  readonly serviceAccountIssuer: string;
  readonly loopback: LoopbackClient;
  /** A kubeconfig (YAML) of a cluster-admin; it holds a private key. */
  adminKubeconfig(): string;
  /** Ends watches and connections and closes the database. */
  close(): Promise<void>;
}

/** How often old revisions are dropped when nothing is written. */
const COMPACT_INTERVAL_MS = 60_000;

/** Starts a Kubernetes API server on `address`; resolves when it serves. Rejects when the address is taken or the folder can't be used. */
export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { dataDir, clusterName, logger } = options;
  const now = options.now ?? Date.now;
  const pki = join(dataDir, 'pki');
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const certificates = await openCertificates(pki, options.address, API_SERVICE_ADDRESS, now);
  const endpoint = new HttpsEndpoint(certificates, options.address, options.port);
  const parts = createParts(options, openSigningKey(pki), now, () => endpoint.authority);
  const { store, loopback, handler } = parts;
  const close = async (): Promise<void> => {
    parts.stop();
    await endpoint.close();
    await parts.close();
  };
  try {
    await options.beforeServing?.(loopback);
    await endpoint.listen((request, response) => void handler.handle(request, response));
    await bootstrap(loopback, endpoint.address, endpoint.port);
  } catch (error) {
    await close();
    throw error;
  }
  const upkeep = await startUpkeep(store, loopback, logger);
  const url = `https://${endpoint.authority}`;
  return {
    url,
    address: endpoint.address,
    port: endpoint.port,
    caCertificate: certificates.ca,
    serviceAccountIssuer: SERVICE_ACCOUNT_ISSUER,
    loopback,
    adminKubeconfig: () => adminKubeconfig(clusterName, url, certificates),
    async close() {
      await upkeep.stop();
      await close();
    },
  };
}

/** What the server does on its own: aggregated ClusterRoles follow their parts, and old revisions are dropped. */
async function startUpkeep(
  store: Store,
  loopback: LoopbackClient,
  logger: JsonLog,
): Promise<{ stop(): Promise<void> }> {
  const aggregation = aggregateClusterRoles(store, loopback, (error) =>
    logger.error({ err: error }, 'an aggregated ClusterRole could not be brought up to date'),
  );
  await aggregation.settled();
  const compaction = setInterval(() => store.compact(), COMPACT_INTERVAL_MS);
  compaction.unref();
  return {
    async stop() {
      clearInterval(compaction);
      aggregation.close();
      await aggregation.settled();
    },
  };
}
