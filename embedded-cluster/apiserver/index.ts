import type { AddressInfo, Socket } from 'node:net';
import { createServer, type Server } from 'node:https';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonLog } from '../../log/index.ts';
import { builtinTypes } from '../schema/index.ts';
import type { LoopbackClient } from '../types.ts';
import { createAdmission } from './admission/chain.ts';
import { namespaceLifecycle } from './admission/namespace-lifecycle.ts';
import { podDefaults } from './admission/pod-defaults.ts';
import { serviceAccount } from './admission/service-account.ts';
import { type DialService, Webhooks } from './admission/webhooks.ts';
import { dialByEndpointSlices } from './admission/dial-service.ts';
import { openCertificates, type ServingCertificates } from './authn/certificates.ts';
import { authenticationReviews } from './authn/reviews.ts';
import { SERVICE_ACCOUNT_ISSUER, ServiceAccountTokens } from './authn/service-account-tokens.ts';
import { openSigningKey } from './authn/signing-key.ts';
import { aggregateClusterRoles } from './authz/aggregation.ts';
import { openAuditLog } from './audit-log.ts';
import type { Attributes } from './authz/authorizer.ts';
import { RbacAuthorizer, refusal } from './authz/rbac.ts';
import { authorizationReviews } from './authz/reviews.ts';
import { bootstrap } from './bootstrap.ts';
import { CustomResources } from './custom-resources.ts';
import { ApiHandler } from './http/handler.ts';
import { Pages } from './http/pages.ts';
import { WatchStreams } from './http/watch-stream.ts';
import type { Kubelet } from './kubelet.ts';
import { adminKubeconfig } from './kubeconfig.ts';
import { createLoopbackClient } from './loopback.ts';
import type { Call, Core } from './operations/core.ts';
import { evict } from './operations/evict.ts';
import { bind } from './operations/pod-subresources.ts';
import { API_SERVICE_ADDRESS, createServiceAllocator } from './operations/service-allocation.ts';
import { createVerbs, type PostHandlers } from './operations/verbs.ts';
import { Registry } from './registry.ts';
import { Store } from './store/store.ts';

export type { DialService } from './admission/webhooks.ts';
export type { Kubelet, PodLogRequest } from './kubelet.ts';

export interface ApiServerOptions {
  /** Folder of the database, keys and certificates; made when it is missing. */
  dataDir: string;
  /** Address to listen on, such as 127.64.3.1. */
  address: string;
  /** 0: any that is free. */
  port: number;
  /** Names the cluster, its user and its context in the kubeconfig. */
  clusterName: string;
  /** Where the server tells what a person should know. */
  logger: JsonLog;
  /** ms since the epoch; the system's clock by default. */
  now?: () => number;
  /** How a webhook's Service is reached; by the ready endpoints in its EndpointSlices by default. */
  dialService?: DialService;
  /** The node agent, for what only it can answer. */
  kubelet?: Kubelet;
  /** File to which a line is appended for each request and whether it was allowed. */
  auditLog?: string | undefined;
  /** What is to be put right in what an earlier run has left before any client can read it. Rejecting, it ends the start. */
  beforeServing?: (loopback: LoopbackClient) => Promise<void>;
}

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
/** Longer than clients keep idle connections (Go: 90 s), so that none is closed under a request. */
const KEEP_ALIVE_MS = 120_000;

/** Starts a Kubernetes API server on `address`; resolves when it serves. Rejects when the address is taken or the folder can't be used. */
export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { dataDir, address, clusterName, logger } = options;
  const now = options.now ?? Date.now;
  const pki = join(dataDir, 'pki');
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const certificates = await openCertificates(pki, address, API_SERVICE_ADDRESS, now);
  const signingKey = openSigningKey(pki);
  const store = new Store({ path: join(dataDir, 'state.db'), now });

  const registry = new Registry(builtinTypes());
  const tokens = new ServiceAccountTokens(store, signingKey, now);
  const authorizer = new RbacAuthorizer(store);
  const auditLog = options.auditLog === undefined ? undefined : openAuditLog(options.auditLog, now);
  const judge = (attributes: Attributes): void => {
    const decision = authorizer.authorize(attributes);
    auditLog?.audit(attributes, decision);
    if (!decision.allowed) throw refusal(attributes);
  };
  const webhooks = new Webhooks(store, registry, options.dialService ?? dialByEndpointSlices(store), logger);
  const core: Core = {
    store,
    registry,
    now,
    admission: createAdmission([namespaceLifecycle(store), serviceAccount(store), podDefaults], webhooks),
    allocate: createServiceAllocator(store),
    authorizeWrite: (call, object, live) => {
      if (live === undefined && isApply(call)) judge(creationBy(call));
      authorizer.preventEscalation(call, object, live);
    },
  };
  const postHandlers: PostHandlers = new Map([
    ['pods/binding', (call, input) => bind(core, call, input)],
    ['pods/eviction', (call, input) => evict(core, call, input)],
    ['serviceaccounts/token', async (call, input) => tokens.issue(call, input)],
    ...authenticationReviews(tokens, now),
    ...authorizationReviews(authorizer),
  ]);
  const verbs = createVerbs(core, postHandlers);
  const loopback = createLoopbackClient(core, verbs);
  const customResources = new CustomResources(core, logger);
  const watches = new WatchStreams(store, now);
  let listening: AddressInfo = { address, port: options.port, family: 'IPv4' };
  const handler = new ApiHandler({
    core,
    verbs,
    tokens,
    pages: new Pages(registry, signingKey, () => `${listening.address}:${listening.port}`),
    judge,
    watches,
    kubelet: options.kubelet,
    onError: (error, request) =>
      logger.error({ err: error, request }, 'a request failed by a fault of the server'),
  });

  const server = serverFor(certificates, handler);
  const closeServer = closerOf(server);
  const close = async (): Promise<void> => {
    customResources.close();
    watches.close();
    webhooks.close();
    if (server.listening) await closeServer();
    await customResources.settled();
    store.close();
    auditLog?.close();
  };
  try {
    await options.beforeServing?.(loopback);
    listening = await listen(server, address, options.port);
    await bootstrap(loopback, listening.address, listening.port);
  } catch (error) {
    await close();
    throw error;
  }
  const aggregation = aggregateClusterRoles(store, loopback, (error) =>
    logger.error({ err: error }, 'an aggregated ClusterRole could not be brought up to date'),
  );
  await aggregation.settled();
  const compaction = setInterval(() => store.compact(), COMPACT_INTERVAL_MS);
  compaction.unref();

  const url = `https://${listening.address}:${listening.port}`;
  return {
    url,
    address: listening.address,
    port: listening.port,
    caCertificate: certificates.ca,
    serviceAccountIssuer: SERVICE_ACCOUNT_ISSUER,
    loopback,
    adminKubeconfig: () => adminKubeconfig(clusterName, url, certificates),
    async close() {
      clearInterval(compaction);
      aggregation.close();
      await aggregation.settled();
      await close();
    },
  };
}

/** A creation names no object in its path; what does, and finds none, is an apply. */
function isApply(call: Call): boolean {
  return call.name !== '';
}

/** Who may patch may not for that create: an apply that finds no object needs both rights. */
function creationBy({ user, type, namespace = '', name }: Call): Attributes {
  const { group, plural: resource } = type.resource;
  return { kind: 'resource', user, verb: 'create', group, resource, subresource: '', namespace, name };
}

function serverFor({ ca, server: { certificate, key } }: ServingCertificates, handler: ApiHandler): Server {
  const server = createServer(
    {
      cert: certificate,
      key,
      ca,
      // Clients may show a certificate; those without one have a token or are anonymous.
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    (request, response) => {
      void handler.handle(request, response);
    },
  );
  return server;
}

/** How to end a server at once: clients of a watch resume it with the next one. By itself it knows no connection that has not finished TLS, and waits for it. */
function closerOf(server: Server): () => Promise<void> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
}

/** Rejects with what to do when the address can't be had. */
function listen(server: Server, address: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const refuse = (error: Error): void => {
      reject(
        new Error(
          `the API server can not listen on ${address}:${port} (${error.message}); end what uses it, or choose another address`,
          { cause: error },
        ),
      );
    };
    server.once('error', refuse);
    server.listen(port, address, () => {
      server.off('error', refuse);
      resolve(server.address() as AddressInfo);
    });
  });
}
