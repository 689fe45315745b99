import type { MutatingWebhookConfiguration, Secret } from '../api/kubernetes-types.ts';
import { object } from '../api/names.ts';
import { backoffMs, type Clock, type Timer } from '../kubernetes/clock.ts';
import { errorMessage, type Log } from '../kubernetes/log.ts';
import { createReflector } from '../kubernetes/reflector.ts';
import { resources } from '../kubernetes/resources.ts';
import { type KubernetesClient, KubernetesError } from '../kubernetes/types.ts';
import {
  isRenewalDue,
  makeServingPair,
  type MakeServingCertificate,
  readServingSecret,
  type ServingPair,
  servingSecret,
} from './serving-secret.ts';

/** Expiry is compared with wall time this often, since timers stop while a machine sleeps. Milliseconds. */
const CHECK_MS = 30_000;
const RETRY = { initialMs: 200, maxMs: 30_000 };

/** Keeps the webhook's certificate fresh in its Secret, and the webhook configuration's caBundle right. Replicas share the Secret. */
export interface CertificateController {
  /** The API server has been told by whom the certificate is signed, or has no webhook configuration to tell. */
  readonly published: boolean;
  start(): void;
  stop(): Promise<void>;
}

export function createCertificateController(deps: {
  client: KubernetesClient;
  namespace: string;
  /** Names that the API server may call the webhook by; the first is the one it uses. */
  dnsNames: readonly [string, ...string[]];
  make: MakeServingCertificate;
  clock: Clock;
  random: () => number;
  log: Log;
  /** Called with each certificate that is to be served. */
  onCertificate: (pair: ServingPair) => void;
}): CertificateController {
  return new SecretCertificateController(deps);
}

type Deps = Parameters<typeof createCertificateController>[0];

class SecretCertificateController implements CertificateController {
  readonly #deps: Deps;
  readonly #secrets;
  readonly #webhooks;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  /** Something changed while a pass ran: it looks again. */
  #again = false;
  #stopped = false;
  #served: ServingPair | undefined;
  #failures = 0;
  #published = false;

  constructor(deps: Deps) {
    this.#deps = deps;
    const { client, namespace, log: logger } = deps;
    this.#secrets = createReflector(client, resources.secrets, {
      namespace,
      fieldSelector: `metadata.name=${object.injectorTlsSecret}`,
      logger,
    });
    this.#webhooks = createReflector(client, resources.mutatingWebhookConfigurations, {
      fieldSelector: `metadata.name=${object.injectorWebhook}`,
      logger,
    });
  }

  get published(): boolean {
    return this.#published;
  }

  start(): void {
    const changed = (): void => this.#reconcileSoon();
    for (const reflector of [this.#secrets, this.#webhooks]) {
      reflector.subscribe({ add: changed, update: changed, delete: changed });
      reflector.start();
      void reflector.synced.then(changed);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await Promise.all([this.#secrets.stop(), this.#webhooks.stop(), this.#running]);
  }

  #reconcileSoon(): void {
    if (this.#stopped || !this.#secrets.hasSynced) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    this.#timer?.cancel();
    this.#running = this.#pass().finally(() => {
      this.#running = undefined;
      if (this.#again) {
        this.#again = false;
        this.#reconcileSoon();
      }
    });
  }

  async #pass(): Promise<void> {
    const { clock, random, log } = this.#deps;
    let next = CHECK_MS;
    try {
      const pair = await this.#currentPair();
      if (pair !== undefined && (await this.#publishCa(pair.caBundle))) this.#published = true;
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      next = backoffMs(this.#failures, RETRY, random);
      log.warn(
        { error: errorMessage(error) },
        "keeping the webhook's certificate failed; it will be tried again",
      );
    }
    if (!this.#stopped) this.#timer = clock.after(next, () => this.#reconcileSoon());
  }

  /** The pair to serve; undefined while another replica's has not arrived yet. */
  async #currentPair(): Promise<ServingPair | undefined> {
    const { namespace, dnsNames, clock, make } = this.#deps;
    const secret = this.#secrets.get(`${namespace}/${object.injectorTlsSecret}`);
    const present = readServingSecret(secret, dnsNames[0]);
    if (present !== undefined) this.#serve(present);
    if (present !== undefined && !isRenewalDue(present, clock.wallNow())) return present;
    const fresh = await makeServingPair(make, dnsNames, present, clock.wallNow());
    const written = await this.#write(secret, servingSecret(fresh, namespace));
    if (!written) return present;
    this.#serve(fresh);
    return fresh;
  }

  #serve(pair: ServingPair): void {
    if (this.#served?.certificate === pair.certificate) return;
    this.#served = pair;
    this.#deps.onCertificate(pair);
  }

  /** False when another replica was first: the reflector brings what it wrote. */
  async #write(present: Secret | undefined, fresh: Secret): Promise<boolean> {
    const { client } = this.#deps;
    if (present === undefined) return unlessStale(client.create(resources.secrets, fresh));
    const resourceVersion = present.metadata?.resourceVersion ?? '';
    const metadata = { ...present.metadata, ...fresh.metadata, resourceVersion };
    return unlessStale(client.replace(resources.secrets, { ...fresh, metadata }));
  }

  /** False when the configuration is not read yet, or has changed since: it will be looked at again. */
  async #publishCa(caBundle: string): Promise<boolean> {
    if (!this.#webhooks.hasSynced) return false;
    const configuration = this.#webhooks.get(object.injectorWebhook);
    const wanted = Buffer.from(caBundle).toString('base64');
    const stale =
      configuration?.webhooks?.some(({ clientConfig }) => clientConfig.caBundle !== wanted) ?? false;
    if (configuration === undefined || !stale) return true;
    const fresh = withCaBundle(configuration, wanted);
    return unlessStale(this.#deps.client.replace(resources.mutatingWebhookConfigurations, fresh));
  }
}

/** False when the object has changed since it was read: the reflector brings what it is now, and that is looked at again. */
async function unlessStale(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (error instanceof KubernetesError && error.code === 409) return false;
    throw error;
  }
}

function withCaBundle(
  configuration: MutatingWebhookConfiguration,
  caBundle: string,
): MutatingWebhookConfiguration {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    ...configuration,
    webhooks: (configuration.webhooks ?? []).map((webhook) => ({
      ...webhook,
      clientConfig: { ...webhook.clientConfig, caBundle },
    })),
  };
}
