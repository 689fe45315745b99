import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import type { ControllerMetrics, ReconcileResult } from './controller.ts';
import type { ReflectorMetrics } from './reflector.ts';

const RESULTS: readonly ReconcileResult[] = ['success', 'requeue_after', 'error', 'terminal_error'];

/** Metrics of controllers under controller-runtime's names. One per registry. */
export function createControllerMetrics(registry: Registry): ControllerMetrics {
  const total = new Counter({
    name: 'controller_runtime_reconcile_total',
    help: 'Reconciliations by controller and result.',
    labelNames: ['controller', 'result'],
    registers: [registry],
  });
  const errors = new Counter({
    name: 'controller_runtime_reconcile_errors_total',
    help: 'Reconciliations that failed, by controller.',
    labelNames: ['controller'],
    registers: [registry],
  });
  const seconds = new Histogram({
    name: 'controller_runtime_reconcile_time_seconds',
    help: 'Duration of a reconciliation, by controller.',
    labelNames: ['controller'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  });
  const depth = new Gauge({
    name: 'workqueue_depth',
    help: 'Keys that wait, by queue.',
    labelNames: ['name'],
    registers: [registry],
  });
  return {
    init(controller) {
      for (const result of RESULTS) total.inc({ controller, result }, 0);
      errors.inc({ controller }, 0);
      depth.set({ name: controller }, 0);
    },
    reconciled(controller, result, duration) {
      total.inc({ controller, result });
      if (result === 'error' || result === 'terminal_error') errors.inc({ controller });
      seconds.observe({ controller }, duration);
    },
    depth: (controller, length) => depth.set({ name: controller }, length),
  };
}

/** Metrics of reflectors. One per registry. */
export function createReflectorMetrics(registry: Registry): ReflectorMetrics {
  const lists = new Counter({
    name: 'isthmus_reflector_lists_total',
    help: 'Lists by resource and result.',
    labelNames: ['resource', 'result'],
    registers: [registry],
  });
  const watches = new Counter({
    name: 'isthmus_reflector_watches_ended_total',
    help: 'Watches that ended, by resource and reason.',
    labelNames: ['resource', 'reason'],
    registers: [registry],
  });
  const events = new Counter({
    name: 'isthmus_reflector_events_total',
    help: 'Watch events by resource and type.',
    labelNames: ['resource', 'type'],
    registers: [registry],
  });
  const objects = new Gauge({
    name: 'isthmus_reflector_objects',
    help: 'Objects in the cache, by resource.',
    labelNames: ['resource'],
    registers: [registry],
  });
  return {
    listed: (resource, result) => lists.inc({ resource, result }),
    watchEnded: (resource, reason) => watches.inc({ resource, reason }),
    event: (resource, type) => events.inc({ resource, type }),
    objects: (resource, count) => objects.set({ resource }, count),
  };
}

/** One value that a part works out when it is asked. */
export interface Reading {
  name: string;
  help: string;
  type: 'gauge' | 'counter';
  value: number;
}

/** Tells readings, worked out at each scrape; what is registered under the same name already stays. */
export function registerReadings(registry: Registry, read: () => readonly Reading[]): void {
  for (const { name, help, type } of read()) {
    if (registry.getSingleMetric(name) !== undefined) continue;
    const now = (): number => read().find((candidate) => candidate.name === name)?.value ?? 0;
    registry.registerMetric(type === 'gauge' ? gaugeOf(name, help, now) : counterOf(name, help, now));
  }
}

function gaugeOf(name: string, help: string, now: () => number): Gauge {
  return new Gauge({
    name,
    help,
    registers: [],
    collect() {
      this.set(now());
    },
  });
}

function counterOf(name: string, help: string, now: () => number): Counter {
  return new Counter({
    name,
    help,
    registers: [],
    collect() {
      this.reset();
      this.inc(now());
    },
  });
}
