import { canBind } from './network.ts';

const FIRST_HOST = 2;
const LAST_HOST = 254;

/**
 * Gives pods their addresses, `<prefix>.2` to `<prefix>.254`. Goes round, so that an address that was given back rests as long as possible before
 * somebody else has it: clients that have not heard of the pod's end then get a refused connection, not a stranger.
 */
export class AddressPool {
  readonly #prefix: string;
  readonly #owners = new Map<string, string>();
  readonly #waiting = new Map<string, () => void>();
  #next = FIRST_HOST;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Why there is none, in the words of an event. */
  get exhausted(): string {
    return `no pod address is free: ${this.#owners.size} of the ${LAST_HOST - FIRST_HOST + 1} of ${this.#prefix}.0/24 are taken by pods, and no other can be listened on`;
  }

  /** Keeps the address that a pod showed before a restart, when it is of this network and free. */
  adopt(address: string, podUid: string): boolean {
    const host = Number(address.slice(this.#prefix.length + 1));
    const inside = address.startsWith(`${this.#prefix}.`) && host >= FIRST_HOST && host <= LAST_HOST;
    const owner = this.#owners.get(address);
    if (!inside || (owner !== undefined && owner !== podUid)) return false;
    this.#owners.set(address, podUid);
    return true;
  }

  /** An address that no pod has, which can be listened on; undefined when all are taken. */
  async take(podUid: string): Promise<string | undefined> {
    for (let tries = FIRST_HOST; tries <= LAST_HOST; tries += 1) {
      const address = `${this.#prefix}.${this.#next}`;
      this.#next = this.#next === LAST_HOST ? FIRST_HOST : this.#next + 1;
      if (this.#owners.has(address)) continue;
      this.#owners.set(address, podUid);
      if (await canBind(address)) return address;
      this.#owners.delete(address);
    }
    return undefined;
  }

  /** Gives back what a pod had; to be called only when no pod object shows it any more. */
  release(podUid: string): void {
    for (const [address, owner] of this.#owners) if (owner === podUid) this.#owners.delete(address);
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** Calls `wake` once, when an address is given back; a pod has one such call. */
  onRelease(podUid: string, wake: () => void): void {
    this.#waiting.set(podUid, wake);
  }
}
