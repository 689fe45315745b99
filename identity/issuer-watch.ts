import type { Secret } from '../api/kubernetes-types.ts';
import { object } from '../api/names.ts';
import type { EventRecorder } from '../kubernetes/events.ts';
import { errorMessage, type Log } from '../kubernetes/log.ts';
import type { Reflector } from '../kubernetes/reflector.ts';
import type { Clock } from '../workload-identity/index.ts';
import { type IssuerMaterial, readIssuer } from './issuer-material.ts';
import type { BundleWatch } from './bundle-watch.ts';

/** Where the issuer stands. One writer: `IssuerWatch`. */
export type IssuerState =
  /** There was no usable issuer since the start. */
  | { kind: 'waiting'; reason: string }
  /** `rejected`: why the Secret's present content is not used, while an older one is. */
  | { kind: 'ready'; material: IssuerMaterial; rejected: string | undefined };

/** ms between looks at the wall clock: an issuer expires, or becomes valid, without any event. */
const CHECK_PERIOD_MS = 30_000;

/**
 * Follows the issuer's Secret and the anchors. A Secret that does not hold keeps the issuer that is in use, and is told by an event; it is judged anew whenever
 * the Secret or the anchors change, and every 30 s, so that none is missed for good.
 */
export class IssuerWatch {
  readonly #options: IssuerWatchOptions;
  #state: IssuerState = { kind: 'waiting', reason: 'the issuer has not been read yet' };
  /** The failure that was told last. */
  #told: string | undefined;
  #stopped = false;
  readonly #ready = Promise.withResolvers<void>();
  /** Settles when there is the first issuer that may be used. */
  readonly ready: Promise<void> = this.#ready.promise;

  constructor(options: IssuerWatchOptions) {
    this.#options = options;
    const look = (): void => this.#look();
    options.secrets.subscribe({ add: look, update: look, delete: look });
    options.bundle.onChange(look);
    this.#tick();
  }

  get state(): IssuerState {
    return this.#state;
  }

  stop(): void {
    this.#stopped = true;
  }

  #tick(): void {
    if (this.#stopped) return;
    this.#look();
    this.#options.clock.after(CHECK_PERIOD_MS, () => {
      this.#tick();
      if (!this.#stopped && this.#state.kind === 'waiting')
        this.#options.log.warn(
          { reason: this.#state.reason },
          'there is no issuer yet: nobody gets a certificate',
        );
    });
  }

  #look(): void {
    const secret = this.#options.secrets.get(`${this.#options.meshNamespace}/${object.issuerSecret}`);
    const anchors = this.#options.bundle.current?.anchors;
    if (secret === undefined || anchors === undefined) {
      const missing =
        secret === undefined ? `Secret ${object.issuerSecret}` : `TrustBundle ${object.trustBundle}`;
      if (this.#state.kind === 'waiting')
        this.#state = { kind: 'waiting', reason: `${missing} is not there` };
      return;
    }
    try {
      this.#accept(secret, this.#read(secret, anchors));
    } catch (error) {
      this.#reject(secret, errorMessage(error));
    }
  }

  #read(secret: Secret, anchors: Parameters<typeof readIssuer>[1]): IssuerMaterial {
    const { names, clock } = this.#options;
    const pem = { certificate: field(secret, 'tls.crt'), key: field(secret, 'tls.key') };
    return readIssuer(pem, anchors, names, clock.now());
  }

  #accept(secret: Secret, material: IssuerMaterial): void {
    const before = this.#state.kind === 'ready' ? this.#state.material.fingerprint : undefined;
    this.#state = { kind: 'ready', material, rejected: undefined };
    this.#told = undefined;
    this.#ready.resolve();
    if (before === material.fingerprint) return;
    const validUntil = new Date(material.signer.notAfter).toISOString();
    this.#options.log.info({ fingerprint: material.fingerprint, validUntil }, 'the issuer is in use');
    if (before !== undefined) {
      this.#options.events.record(
        about(secret),
        'Normal',
        'IssuerUpdated',
        `the issuer was replaced; it is valid until ${validUntil}`,
      );
    }
  }

  #reject(secret: Secret, reason: string): void {
    this.#state =
      this.#state.kind === 'ready' ? { ...this.#state, rejected: reason } : { kind: 'waiting', reason };
    if (this.#told === reason) return;
    this.#told = reason;
    const kept = this.#state.kind === 'ready' ? '; the former issuer stays in use' : '';
    this.#options.log.error({ error: reason }, `the issuer's Secret is not usable${kept}`);
    this.#options.events.record(about(secret), 'Warning', 'IssuerValidationFailed', `${reason}${kept}`);
  }
}

export interface IssuerWatchOptions {
  secrets: Reflector<Secret>;
  bundle: BundleWatch;
  meshNamespace: string;
  names: { clusterId: string; trustDomain: string };
  events: EventRecorder;
  log: Log;
  clock: Clock;
}

function about(secret: Secret): Secret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    ...(secret.metadata === undefined ? {} : { metadata: secret.metadata }),
  };
}

function field(secret: Secret, key: string): string {
  const value = secret.data?.[key];
  if (value === undefined) throw new Error(`the Secret has no ${key}`);
  return Buffer.from(value, 'base64').toString('utf8');
}
