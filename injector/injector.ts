import { Counter, type Registry } from 'prom-client';
import type { Namespace } from '../api/kubernetes-types.ts';
import { component, LINKERD_WEBHOOK, object } from '../api/names.ts';
import { type Clock, systemClock, type Timer } from '../kubernetes/clock.ts';
import { createEventRecorder } from '../kubernetes/events.ts';
import { runLeaderElection } from '../kubernetes/lease.ts';
import { errorMessage, type Log } from '../kubernetes/log.ts';
import { createReflector } from '../kubernetes/reflector.ts';
import { resources } from '../kubernetes/resources.ts';
import { type KubernetesClient, KubernetesError } from '../kubernetes/types.ts';
import type { AdmissionDeps, Decision } from './admission.ts';
import { createCertificateController } from './certificate-controller.ts';
import type { InjectionContext } from './context.ts';
import { createInjectionEvents } from './injection-events.ts';
import { MissingSidecars } from './missing-sidecars.ts';
import { createPodOwner } from './pod-owner.ts';
import type { MakeServingCertificate, ServingPair } from './serving-secret.ts';
import { startWebhookServer, type WebhookServer } from './webhook-server.ts';

/** Until the address is tried again that another process held. Milliseconds. */
const LISTEN_RETRY_MS = 5_000;

/** The running injector. */
export interface Injector {
  /** Undefined when the webhook can answer, otherwise what is missing. */
  notReady(): string | undefined;
  /** Port that is listened on; undefined before there is a certificate. */
  readonly port: number | undefined;
  stop(): Promise<void>;
}

export interface InjectorDeps {
  client: KubernetesClient;
  /** Address to serve on. */
  host: string;
  port: number;
  podName: string;
  /** The install's values; what concerns Linkerd is seen in the cluster. */
  context: Omit<InjectionContext, 'ignoreLinkerdAnnotation'>;
  /** Linkerd's annotations count although its control plane is here. */
  adoptLinkerd: boolean;
  makeCertificate: MakeServingCertificate;
  registry: Registry;
  log: Log;
  clock?: Clock;
  random?: () => number;
}

/** Starts the admission webhook: it serves as soon as its certificate is there, and keeps trying until then. */
export function startInjector(deps: InjectorDeps): Injector {
  return new WebhookInjector(deps);
}

class WebhookInjector implements Injector {
  readonly #deps: InjectorDeps;
  readonly #namespaces;
  readonly #linkerd;
  readonly #events;
  readonly #ownerOf;
  readonly #missing;
  readonly #certificates;
  readonly #admission: AdmissionDeps;
  #server: WebhookServer | undefined;
  #serving: Promise<void> = Promise.resolve();
  #listenAgain: Timer | undefined;

  constructor(deps: InjectorDeps) {
    this.#deps = deps;
    const { client, log } = deps;
    this.#namespaces = createReflector(client, resources.namespaces, { logger: log });
    this.#linkerd = createReflector(client, resources.mutatingWebhookConfigurations, {
      fieldSelector: `metadata.name=${LINKERD_WEBHOOK}`,
      logger: log,
    });
    this.#events = createEventRecorder(client, {
      component: component.injector,
      instance: deps.podName,
      logger: log,
    });
    this.#ownerOf = createPodOwner(client, log);
    this.#admission = this.#admissionDeps();
    this.#missing = this.#missingSidecars();
    const { meshNamespace, clusterDomain } = deps.context;
    const service = `${component.injector}.${meshNamespace}.svc`;
    this.#certificates = createCertificateController({
      client,
      namespace: meshNamespace,
      dnsNames: [service, `${service}.${clusterDomain}`],
      make: deps.makeCertificate,
      clock: deps.clock ?? systemClock,
      random: deps.random ?? Math.random,
      log,
      onCertificate: (pair) => this.#serveSoon(pair),
    });
    this.#namespaces.start();
    this.#linkerd.start();
    this.#linkerd.subscribe({ add: () => this.#missing.lookSoon(), delete: () => this.#missing.lookSoon() });
    this.#missing.start();
    this.#certificates.start();
  }

  get port(): number | undefined {
    return this.#server?.port;
  }

  notReady(): string | undefined {
    if (this.#server === undefined) return "the webhook's certificate is not there yet";
    if (!this.#certificates.published)
      return "the API server does not know who signed the webhook's certificate";
    if (!this.#namespaces.hasSynced || !this.#linkerd.hasSynced) return 'namespaces are not read yet';
    return undefined;
  }

  async stop(): Promise<void> {
    await this.#certificates.stop();
    this.#listenAgain?.cancel();
    await this.#serving;
    await this.#missing.stop();
    await Promise.all([
      this.#server?.close(),
      this.#namespaces.stop(),
      this.#linkerd.stop(),
      this.#events.stop(),
    ]);
  }

  #context(): InjectionContext {
    const { context, adoptLinkerd } = this.#deps;
    return { ...context, ignoreLinkerdAnnotation: !adoptLinkerd && this.#linkerd.list().length > 0 };
  }

  #missingSidecars(): MissingSidecars {
    const { client, podName, context, clock = systemClock, random = Math.random, log } = this.#deps;
    const candidate = { namespace: context.meshNamespace, name: object.reportLease, identity: podName };
    return new MissingSidecars({
      ...this.#deps,
      clock,
      random,
      namespaces: this.#namespaces,
      settings: () => this.#context(),
      recorder: this.#events,
      ownerOf: this.#ownerOf,
      elect: (lead, signal) =>
        runLeaderElection(client, { ...candidate, lead, clock, random, logger: log }, signal),
    });
  }

  #admissionDeps(): AdmissionDeps {
    const tell = createInjectionEvents(this.#events, this.#ownerOf);
    const count = decisionCounter(this.#deps.registry);
    return {
      context: () => this.#context(),
      namespace: (name) => this.#namespace(name),
      decided: (decision) => {
        count(decision);
        tell(decision);
      },
    };
  }

  /** A namespace made a moment ago may not have come by the watch yet. */
  async #namespace(name: string): Promise<Namespace | undefined> {
    const known = this.#namespaces.get(name);
    if (known !== undefined) return known;
    try {
      return await this.#deps.client.get(resources.namespaces, undefined, name);
    } catch (error) {
      if (error instanceof KubernetesError && error.code === 404) return undefined;
      throw error;
    }
  }

  #serveSoon(pair: ServingPair): void {
    this.#listenAgain?.cancel();
    this.#serving = this.#serving.then(() => this.#serve(pair));
  }

  async #serve(pair: ServingPair): Promise<void> {
    const { host, port, log } = this.#deps;
    if (this.#server !== undefined) {
      this.#server.useCertificate(pair);
      return;
    }
    try {
      this.#server = await startWebhookServer({ host, port, certificate: pair, log }, this.#admission);
      log.info({ host, port: this.#server.port }, 'the injector serves');
    } catch (error) {
      log.error({ host, port, error: errorMessage(error) }, 'the injector can not listen; it will try again');
      const { clock = systemClock } = this.#deps;
      this.#listenAgain = clock.after(LISTEN_RETRY_MS, () => this.#serveSoon(pair));
    }
  }
}

/** Linkerd's names of the injector's counters. */
function decisionCounter(registry: Registry): (decision: Decision) => void {
  const requests = new Counter({
    name: 'proxy_inject_admission_requests_total',
    help: 'Pods that the injector was asked about.',
    registers: [registry],
  });
  const responses = new Counter({
    name: 'proxy_inject_admission_responses_total',
    help: 'Answers of the injector, by whether it added a sidecar and why not.',
    labelNames: ['skipped', 'skip_reason'],
    registers: [registry],
  });
  return ({ result }) => {
    requests.inc();
    responses.inc({
      skipped: String(!result.injected),
      skip_reason: result.injected ? '' : result.skipped.code,
    });
  };
}
