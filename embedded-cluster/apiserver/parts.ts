import { join } from 'node:path';
import { builtinTypes } from '../schema/index.ts';
import type { LoopbackClient } from '../types.ts';
import { createAdmission } from './admission/chain.ts';
import { dialByEndpointSlices } from './admission/dial-service.ts';
import { namespaceLifecycle } from './admission/namespace-lifecycle.ts';
import { podDefaults } from './admission/pod-defaults.ts';
import { serviceAccount } from './admission/service-account.ts';
import { Webhooks } from './admission/webhooks.ts';
import { openAuditLog, type Audit } from './audit-log.ts';
import { authenticationReviews } from './authn/reviews.ts';
import { ServiceAccountTokens } from './authn/service-account-tokens.ts';
import type { SigningKey } from './authn/signing-key.ts';
import type { Attributes } from './authz/authorizer.ts';
import { RbacAuthorizer, refusal } from './authz/rbac.ts';
import { authorizationReviews } from './authz/reviews.ts';
import { CustomResources } from './custom-resources.ts';
import { ApiHandler } from './http/handler.ts';
import { Pages } from './http/pages.ts';
import { WatchStreams } from './http/watch-stream.ts';
import { createLoopbackClient } from './loopback.ts';
import type { Call, Core } from './operations/core.ts';
import { evict } from './operations/evict.ts';
import { bind } from './operations/pod-subresources.ts';
import { createServiceAllocator } from './operations/service-allocation.ts';
import { createVerbs, type PostHandlers } from './operations/verbs.ts';
import type { ApiServerOptions } from './options.ts';
import { Registry } from './registry.ts';
import { Store } from './store/store.ts';

/** An API server without the connection that it is asked over. */
export interface ApiServerParts {
  readonly store: Store;
  readonly loopback: LoopbackClient;
  readonly handler: ApiHandler;
  /** Ends watches and what calls others. */
  stop(): void;
  /** Closes the database when what is still under way has ended. */
  close(): Promise<void>;
}

/** @param authority where the server is reached, asked when a page says so */
export function createParts(
  options: ApiServerOptions,
  signingKey: SigningKey,
  now: () => number,
  authority: () => string,
): ApiServerParts {
  const { dataDir, logger, dialService } = options;
  const store = new Store({ path: join(dataDir, 'state.db'), now });
  const registry = new Registry(builtinTypes());
  const tokens = new ServiceAccountTokens(store, signingKey, now);
  const authorizer = new RbacAuthorizer(store);
  const auditLog = options.auditLog === undefined ? undefined : openAuditLog(options.auditLog, now);
  const judge = judgeBy(authorizer, auditLog?.audit);
  const webhooks = new Webhooks(store, registry, dialService ?? dialByEndpointSlices(store), logger);
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
  const verbs = createVerbs(core, postHandlers(core, tokens, authorizer));
  const customResources = new CustomResources(core, logger);
  const watches = new WatchStreams(store, now);
  const handler = new ApiHandler({
    core,
    verbs,
    tokens,
    pages: new Pages(registry, signingKey, authority),
    judge,
    watches,
    kubelet: options.kubelet,
    onError: (error, request) =>
      logger.error({ err: error, request }, 'a request failed by a fault of the server'),
  });
  return {
    store,
    loopback: createLoopbackClient(core, verbs),
    handler,
    stop() {
      customResources.close();
      watches.close();
      webhooks.close();
    },
    async close() {
      await customResources.settled();
      store.close();
      auditLog?.close();
    },
  };
}

/** Throws 403 for what the user may not do, and tells the audit log either way. */
function judgeBy(authorizer: RbacAuthorizer, audit: Audit | undefined): (attributes: Attributes) => void {
  return (attributes) => {
    const decision = authorizer.authorize(attributes);
    audit?.(attributes, decision);
    if (!decision.allowed) throw refusal(attributes);
  };
}

/** What a POST does that stores no object of its own. */
function postHandlers(core: Core, tokens: ServiceAccountTokens, authorizer: RbacAuthorizer): PostHandlers {
  return new Map([
    ['pods/binding', (call, input) => bind(core, call, input)],
    ['pods/eviction', (call, input) => evict(core, call, input)],
    ['serviceaccounts/token', async (call, input) => tokens.issue(call, input)],
    ...authenticationReviews(tokens, core.now),
    ...authorizationReviews(authorizer),
  ]);
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
