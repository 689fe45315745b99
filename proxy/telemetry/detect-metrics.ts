import type { Protocol } from '../detect/detect.ts';
import type { Direction } from './http-metrics.ts';
import type { Counter, Family, Registry } from './registry.ts';

/** `protocol_detections_total`: what connections turned out to speak. `reason="timeout"` is a client that said nothing for the whole detection time. */
export class DetectMetrics {
  readonly #detections: Family<Counter>;

  constructor(registry: Registry) {
    this.#detections = registry.counter(
      'protocol_detections_total',
      'Connections whose protocol was looked for, by what was found; opaque ones by reason',
    );
  }

  count(direction: Direction, protocol: Protocol): void {
    const labels = { direction, protocol: protocol.kind };
    this.#detections.cell(protocol.kind === 'opaque' ? { ...labels, reason: protocol.reason } : labels).add();
  }
}
