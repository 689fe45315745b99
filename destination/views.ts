import { ClusterState, type ClusterReader, type Topic } from './cluster-state.ts';

/** How a shared value is made from the cluster. */
export interface Computation<T> {
  compute: (cluster: ClusterReader) => T;
  /** Two values that nobody needs to be told apart. */
  equal: (a: T, b: T) => boolean;
}

/** A share in a computation. */
export interface Watch<T> {
  /** The value of now; the same object until it changes. */
  readonly value: T;
  /** The computation ends with its last watch. */
  close(): void;
}

/**
 * The computations that run for somebody. Each runs once for all that watch it, and again only when something that it read has changed;
 * changes of one turn of the event loop are taken together.
 */
export class Views {
  readonly state: ClusterState;
  readonly #views = new Map<string, View<unknown>>();
  readonly #readers = new Map<Topic, Set<View<unknown>>>();
  readonly #dirty = new Set<View<unknown>>();
  readonly #schedule: (run: () => void) => void;
  readonly #failed: (key: string, error: unknown) => void;
  #scheduled = false;

  /**
   * @param schedule runs a function soon, after what changes now
   * @param failed is told of a computation that threw where nobody waits for it: its value stays until something that
   * it reads changes again, so that what one object says that nobody expected is not the end of all streams
   */
  constructor(
    schedule: (run: () => void) => void = setImmediate,
    failed: (key: string, error: unknown) => void = (_key, error) => {
      throw error;
    },
  ) {
    this.#schedule = schedule;
    this.#failed = failed;
    this.state = new ClusterState((topic) => this.#changed(topic));
  }

  /**
   * Watches the computation of that key, calling `changed` after each change of its value. Equal keys must mean equal computations:
   * only the first watcher's is run.
   */
  watch<T>(key: string, computation: Computation<T>, changed: () => void): Watch<T> {
    const view = (this.#views.get(key) as View<T> | undefined) ?? this.#open(key, computation);
    view.listeners.add(changed);
    return {
      get value() {
        return view.value;
      },
      close: () => {
        if (view.listeners.delete(changed) && view.listeners.size === 0) this.#end(key, view);
      },
    };
  }

  /** Computes once, for a call that wants a single answer. */
  once<T>(compute: (cluster: ClusterReader) => T): T {
    return compute(this.state.reader(() => {}));
  }

  /** How many computations are shared at present. */
  get size(): number {
    return this.#views.size;
  }

  #open<T>(key: string, computation: Computation<T>): View<T> {
    const topics = new Set<Topic>();
    const value = this.#compute(computation, topics);
    const view: View<T> = { key, computation, value, topics: new Set(), listeners: new Set() };
    this.#views.set(key, view as View<unknown>);
    this.#follow(view as View<unknown>, topics);
    return view;
  }

  #end<T>(key: string, view: View<T>): void {
    this.#views.delete(key);
    this.#dirty.delete(view as View<unknown>);
    this.#follow(view as View<unknown>, new Set());
  }

  /** Adds what it reads to `topics`, also when it throws. */
  #compute<T>({ compute }: Computation<T>, topics: Set<Topic>): T {
    return compute(this.state.reader((topic) => topics.add(topic)));
  }

  #follow(view: View<unknown>, topics: Set<Topic>): void {
    for (const topic of view.topics) {
      if (topics.has(topic)) continue;
      const readers = this.#readers.get(topic);
      readers?.delete(view);
      if (readers?.size === 0) this.#readers.delete(topic);
    }
    for (const topic of topics) {
      const readers = this.#readers.get(topic);
      if (readers === undefined) this.#readers.set(topic, new Set([view]));
      else readers.add(view);
    }
    view.topics = topics;
  }

  #changed(topic: Topic): void {
    for (const view of this.#readers.get(topic) ?? []) this.#dirty.add(view);
    if (this.#dirty.size === 0 || this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    for (const view of dirty) this.#recompute(view);
  }

  #recompute(view: View<unknown>): void {
    // An earlier listener of this flush may have closed the last watch.
    if (view.listeners.size === 0) return;
    const topics = new Set<Topic>();
    try {
      const value = this.#compute(view.computation, topics);
      this.#follow(view, topics);
      if (view.computation.equal(view.value, value)) return;
      view.value = value;
    } catch (error) {
      this.#follow(view, new Set([...view.topics, ...topics]));
      this.#failed(view.key, error);
      return;
    }
    for (const listener of view.listeners) listener();
  }
}

interface View<T> {
  key: string;
  computation: Computation<T>;
  value: T;
  topics: Set<Topic>;
  listeners: Set<() => void>;
}
