import { networkInterfaces } from 'node:os';
import type { Apps } from './apps.ts';

/** Apps by the pod's address that they were called at: an app may listen on one of them only. */
export class AppsByAddress {
  readonly #make: (address: string) => Apps;
  readonly #apps: Map<string, Apps>;
  readonly #own: ReadonlySet<string>;

  /** @param podIp with its apps, which are there already */
  constructor(podIp: string, apps: Apps, make: (address: string) => Apps) {
    this.#make = make;
    this.#apps = new Map([[podIp, apps]]);
    const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
    this.#own = new Set(all.filter(({ internal }) => !internal).map(({ address }) => address));
  }

  /** Undefined: the address is not this pod's. */
  at(address: string): Apps | undefined {
    const known = this.#apps.get(address);
    if (known !== undefined || !this.#own.has(address)) return known;
    const made = this.#make(address);
    this.#apps.set(address, made);
    return made;
  }

  destroy(): void {
    for (const apps of this.#apps.values()) apps.destroy();
  }
}
