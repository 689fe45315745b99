import type { Pod, TokenRequest } from '../../api/kubernetes-types.ts';
import type { Clock } from '../clock.ts';
import type { LoopbackClient } from '../types.ts';

/** Kubernetes' default for a projected token, in seconds. */
const DEFAULT_TOKEN_SECONDS = 3600;
/** Kubelet's rule: a token is replaced at 80 % of its life, or after a day. */
const RENEW_AT = 0.8;
const LONGEST_USE_MS = 24 * 3600 * 1000;

/** What a volume asks of a token. */
export interface TokenWish {
  audience?: string;
  expirationSeconds?: number;
}

interface HeldToken {
  token: string;
  renewAt: number;
}

/** The ServiceAccount tokens of one pod: one for each audience and life, bound to the pod, renewed in time. Kept in memory and in the pod's volumes only. */
export class PodTokens {
  readonly #held = new Map<string, HeldToken>();
  readonly #client: LoopbackClient;
  readonly #clock: Clock;

  constructor(client: LoopbackClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  /** The token that is to stand in the volume now. When a renewal fails, the one that is still valid goes on. */
  async get(pod: Pod, wish: TokenWish): Promise<string> {
    const key = JSON.stringify([wish.audience, wish.expirationSeconds]);
    const held = this.#held.get(key);
    const now = this.#clock.now();
    if (held !== undefined && now < held.renewAt) return held.token;
    const answer = await this.#request(pod, wish);
    const expires = Date.parse(answer.expirationTimestamp);
    const life = Math.min((expires - now) * RENEW_AT, LONGEST_USE_MS);
    this.#held.set(key, { token: answer.token, renewAt: now + life });
    return answer.token;
  }

  /** When the first of the tokens wants renewal, in ms since the epoch. */
  get nextRenewal(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.#held.values()].map((held) => held.renewAt));
  }

  async #request(pod: Pod, wish: TokenWish): Promise<NonNullable<TokenRequest['status']>> {
    const { name = '', namespace = '', uid = '' } = pod.metadata ?? {};
    const request: TokenRequest = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: { name: pod.spec?.serviceAccountName ?? 'default', namespace },
      spec: {
        ...(wish.audience === undefined || wish.audience === '' ? {} : { audiences: [wish.audience] }),
        expirationSeconds: wish.expirationSeconds ?? DEFAULT_TOKEN_SECONDS,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
      },
    };
    const answer = await this.#client.create('serviceaccounts', request, { subresource: 'token' });
    const status = answer['status'] as TokenRequest['status'];
    if (status === undefined) throw new Error('the token request was answered without a token');
    return status;
  }
}
