import type { WorkloadIdentity } from '../../workload-identity/index.ts';
import type { RunOptions } from '../run.ts';
import { warmUp, type MakeWarmUpWay, type WarmedUp } from './warm-up.ts';

/** A warm-up of one request, where there is a rehearsal to do and nothing stands: no warm-up has been, or its connections have ended. */
const ONCE = { requests: 1, ms: 0 };

/** The warm-up of a process of the data plane, and what stays of it until the end. */
export class Warming {
  readonly #way: MakeWarmUpWay;
  readonly #identity: WorkloadIdentity;
  readonly #busy: () => boolean;
  #done: WarmedUp | undefined;
  #ended = false;

  /** @param busy whether there is real work */
  constructor(way: MakeWarmUpWay, identity: WorkloadIdentity, busy: () => boolean) {
    this.#way = way;
    this.#identity = identity;
    this.#busy = busy;
  }

  /** To be called when the process is as ready as it can be: nobody is to wait for it. Never rejects. */
  async run({ log, rehearsedBy, settled }: RunOptions): Promise<void> {
    if (this.#ended) return;
    try {
      this.#done = await warmUp(this.#way, this.#identity, () => this.#ended || this.#busy());
      if (this.#ended) return await this.end();
      log.info({ requests: this.#done?.answered ?? 0 }, 'warmed up');
    } catch (error) {
      log.info({ error: String(error) }, 'not warmed up');
    }
    rehearsedBy(() => this.#again());
    if (!this.#busy()) settled();
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#done?.end();
  }

  async #again(): Promise<void> {
    const before = this.#done;
    if ((await before?.again()) === true || this.#ended) return;
    this.#done = await warmUp(this.#way, this.#identity, () => false, ONCE);
    await (this.#ended ? this.#done : before)?.end();
  }
}
