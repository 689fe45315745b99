import type { Container } from '../../api/kubernetes-types.ts';
import type { Clock } from '../clock.ts';
import { runProbe } from './probe.ts';
import type { ProbeTarget } from './probe.ts';
import { Prober } from './prober.ts';

/** What probes have found out about a run of a container. */
export interface ContainerHealth {
  /** The startup probe has succeeded, or there is none. */
  started: boolean;
  ready: boolean;
}

export interface ContainerProbesOptions {
  container: Container;
  target: ProbeTarget;
  clock: Clock;
  onChange: (health: ContainerHealth) => void;
  /** A probe failed; the text of an Unhealthy event. */
  onUnhealthy: (message: string) => void;
  /** The container is to be killed, and restarted by its pod's policy. */
  onKill: (probe: 'liveness' | 'startup') => void;
}

/** The probes of one run of a container: readiness and liveness wait for the startup probe. */
export class ContainerProbes {
  readonly #o: ContainerProbesOptions;
  #startup: Prober | undefined;
  #liveness: Prober | undefined;
  #readiness: Prober | undefined;
  #health: ContainerHealth = { started: false, ready: false };

  constructor(options: ContainerProbesOptions) {
    this.#o = options;
  }

  /** The container has started. */
  begin(): void {
    const { startupProbe } = this.#o.container;
    if (startupProbe === undefined) {
      this.#begun();
      return;
    }
    this.#startup = this.#prober(startupProbe, 'Startup', undefined, (healthy) => {
      this.#startup?.stop();
      if (healthy) this.#begun();
      else this.#o.onKill('startup');
    });
  }

  /** A container that is ending is not killed for its health any more, but its readiness still counts. */
  stopForTermination(): void {
    this.#startup?.stop();
    this.#liveness?.stop();
  }

  stop(): void {
    this.stopForTermination();
    this.#readiness?.stop();
  }

  #begun(): void {
    const { livenessProbe, readinessProbe } = this.#o.container;
    this.#set({ started: true, ready: readinessProbe === undefined });
    if (readinessProbe !== undefined)
      this.#readiness = this.#prober(readinessProbe, 'Readiness', false, (ready) => {
        this.#set({ started: true, ready });
      });
    if (livenessProbe !== undefined)
      this.#liveness = this.#prober(livenessProbe, 'Liveness', true, (healthy) => {
        if (healthy) return;
        this.#liveness?.stop();
        this.#o.onKill('liveness');
      });
  }

  #prober(
    probe: NonNullable<Container['livenessProbe']>,
    name: 'Startup' | 'Readiness' | 'Liveness',
    initial: boolean | undefined,
    onVerdict: (healthy: boolean) => void,
  ): Prober {
    return new Prober({
      probe,
      clock: this.#o.clock,
      initial,
      eager: name !== 'Liveness',
      run: () => runProbe(probe, this.#o.target),
      onFailure: (message) => {
        this.#o.onUnhealthy(`${name} probe failed: ${message}`);
      },
      onVerdict,
    });
  }

  #set(health: ContainerHealth): void {
    this.#health = health;
    this.#o.onChange(this.#health);
  }
}
