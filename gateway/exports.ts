import type { ExportedServices } from '../api/proto/gen/isthmus/control_pb.js';
import { methods } from '../api/proto/methods.ts';
import { Watch, type Runtime } from '../proxy/index.ts';

/** What the gateway may serve, by `<svc>.<ns>.svc.<cluster domain>:<port>`. Immutable. */
export interface ExportTable {
  decide(target: string): 'exported' | 'mirror' | 'not-exported';
}

const NOTHING: ExportTable = { decide: () => 'not-exported' };

/**
 * The exported services of this cluster, as the control plane streams them. Until it has told, nothing is served; while it is away, what it told last holds.
 */
export class ExportWatch {
  table: ExportTable = NOTHING;
  /** The control plane has told once. */
  known = false;
  /** Resolves when it has. */
  readonly told: Promise<void>;
  readonly #watch: Watch<ExportedServices>;
  #stopped = false;

  constructor(runtime: Runtime) {
    const { clock, random, destination, control, config, identity, log } = runtime;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.told = promise;
    this.#watch = new Watch<ExportedServices>({
      clock,
      random,
      metrics: control.cells('exports'),
      open: (handlers) => destination.serverStream(methods.watchExports, {}, handlers),
      message: (exported) => {
        this.table = exportTable(exported, config.clusterDomain);
        this.known = true;
        resolve();
      },
      ended: (error) => {
        log.info({ error: error?.message }, 'the stream of exported services ended');
        return false;
      },
    });
    void this.#start(identity.ready);
  }

  /** Without a certificate no connection could be made, and each that failed would put the first good one off. */
  async #start(certified: Promise<void>): Promise<void> {
    await certified;
    if (!this.#stopped) this.#watch.start();
  }

  stop(): void {
    this.#stopped = true;
    this.#watch.stop();
  }
}

/** Compiles the control plane's answer. */
export function exportTable(exported: ExportedServices, clusterDomain: string): ExportTable {
  const ports = new Set<string>();
  const mirrors = new Set<string>();
  for (const { namespace, name, ports: numbers, mirror } of exported.services) {
    const host = `${name}.${namespace}.svc.${clusterDomain}`;
    if (mirror) mirrors.add(host);
    else for (const port of numbers) ports.add(`${host}:${port}`);
  }
  return {
    decide(target) {
      if (ports.has(target)) return 'exported';
      return mirrors.has(target.slice(0, target.lastIndexOf(':'))) ? 'mirror' : 'not-exported';
    },
  };
}
