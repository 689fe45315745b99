import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Pod } from '../../api/kubernetes-types.ts';
import type { Clock } from '../clock.ts';
import type { LoopbackClient } from '../types.ts';
import { AtomicWriter } from './atomic-writer.ts';
import type { PodPlace } from './downward.ts';
import { PodTokens } from './tokens.ts';
import { volumePayload } from './volume-payload.ts';

/** A volume that can't be made yet; the message is what a kubelet's FailedMount event says. */
export class MountError extends Error {
  override name = 'MountError';
}

/** Timers stop while a machine sleeps: an expiry is compared with wall time at least this often. */
const LONGEST_WAIT_MS = 30_000;
/** A refresh that failed is tried again after this. */
const RETRY_MS = 5000;

/** The volumes of one pod, under a directory of its own. */
export class PodVolumes {
  readonly #dir: string;
  readonly #client: LoopbackClient;
  readonly #clock: Clock;
  readonly #tokens: PodTokens;
  readonly #writers = new Map<string, AtomicWriter>();

  constructor(dir: string, client: LoopbackClient, clock: Clock) {
    this.#dir = dir;
    this.#client = client;
    this.#clock = clock;
    this.#tokens = new PodTokens(client, clock);
  }

  /** Where a volume's content stands. */
  path(pod: Pod, name: string): string {
    const volume = pod.spec?.volumes?.find((v) => v.name === name);
    return volume?.hostPath?.path ?? join(this.#dir, name);
  }

  /** Makes every volume, or brings it up to date. Returns in how many ms to look again (token renewal). Throws MountError. */
  async refresh(pod: Pod, place: PodPlace): Promise<number | undefined> {
    for (const volume of pod.spec?.volumes ?? []) {
      if (volume.hostPath !== undefined) continue;
      try {
        await this.#make(pod, place, volume);
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error);
        throw new MountError(`MountVolume.SetUp failed for volume "${volume.name}" : ${text}`);
      }
    }
    const due = this.#tokens.nextRenewal;
    if (due === Number.POSITIVE_INFINITY) return undefined;
    return Math.max(0, Math.min(LONGEST_WAIT_MS, due - this.#clock.now()));
  }

  /** ms after which a failed `refresh` is worth another try. */
  get retryMs(): number {
    return RETRY_MS;
  }

  async #make(
    pod: Pod,
    place: PodPlace,
    volume: NonNullable<NonNullable<Pod['spec']>['volumes']>[0],
  ): Promise<void> {
    const dir = join(this.#dir, volume.name);
    const payload = await volumePayload(volume, {
      client: this.#client,
      pod,
      place,
      tokens: this.#tokens,
    });
    if (payload === undefined) {
      if (volume.emptyDir === undefined) throw new Error('this kind of volume is not supported here');
      mkdirSync(dir, { recursive: true, mode: 0o777 });
      return;
    }
    const writer = this.#writers.get(volume.name) ?? new AtomicWriter(dir);
    this.#writers.set(volume.name, writer);
    writer.write(payload);
  }
}
