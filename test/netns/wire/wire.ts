import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Namespace } from '../namespaces.ts';
import type { Counts, Faults } from './link.ts';
import type { Answered, Asked, ToWire } from './messages.ts';

/** The device of each end, in its namespace. */
export const DEVICE = 'eth0';
/** Each end waits for packets in a thread. */
const MAX_ENDS = 16;

/** Why there can be no wire here; undefined: there can. */
export function missingTun(): string | undefined {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    return 'needs /dev/net/tun';
  }
}

/** Joins network namespaces, and breaks as a test wants it. A process of its own; ended with `close`. */
export class Wire {
  readonly #child: ChildProcess;
  readonly #asked = new Map<number, (answer: Answered) => void>();
  #last = 0;

  /** @param seed of what happens by chance: the same seed, the same chances */
  constructor(seed: number) {
    this.#child = fork(fileURLToPath(new URL('process.ts', import.meta.url)), [String(seed)], {
      env: { ...process.env, UV_THREADPOOL_SIZE: String(MAX_ENDS + 1) },
    });
    this.#child.on('message', (answer: Answered) => {
      this.#asked.get(answer.number)?.(answer);
      this.#asked.delete(answer.number);
    });
  }

  /** Joins a namespace that has a TUN device. */
  async attach({ name, ip4 }: Namespace): Promise<void> {
    await this.#ask({ do: 'attach', address: ip4, namespace: name, device: DEVICE });
  }

  /** What is wrong from now on with the link of a namespace; nothing: it is sound. */
  async set({ ip4 }: Namespace, faults: Partial<Faults> = {}): Promise<void> {
    await this.#ask({ do: 'set', address: ip4, faults });
  }

  /** Flows that have passed there pass no more, and nobody is told. */
  async lose({ ip4 }: Namespace): Promise<void> {
    await this.#ask({ do: 'lose', address: ip4 });
  }

  /** Both sides of the flows that have passed there are told that the other has reset them. */
  async reset({ ip4 }: Namespace): Promise<void> {
    await this.#ask({ do: 'reset', address: ip4 });
  }

  count({ ip4 }: Namespace): Promise<Counts> {
    return this.#ask({ do: 'count', address: ip4 });
  }

  /** Resolves when the next packet has vanished there. */
  async untilDropped({ ip4 }: Namespace): Promise<void> {
    await this.#ask({ do: 'until-dropped', address: ip4 });
  }

  async close(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  async #ask(task: ToWire): Promise<Counts> {
    if (!this.#child.connected) throw new Error('the wire has ended');
    const { promise, resolve, reject } = Promise.withResolvers<Answered>();
    const number = this.#last++;
    const onExit = (code: number | null): void => reject(new Error(`the wire ended with ${code}`));
    this.#asked.set(number, resolve);
    this.#child.once('exit', onExit);
    this.#child.send({ number, task } satisfies Asked);
    try {
      return (await promise).counts;
    } finally {
      this.#child.off('exit', onExit);
    }
  }
}
