import { Counter, Gauge, type Registry } from 'prom-client';

import type { StreamMetrics } from './stream-view.ts';

/** What the streams to proxies do, as Prometheus sees it. */
export function createStreamMetrics(registry: Registry): StreamMetrics {
  const registers = [registry];
  const labelNames = ['method'] as const;
  const open = new Gauge({ name: 'destination_streams', help: 'Open streams.', labelNames, registers });
  const sent = new Counter({
    name: 'destination_updates_total',
    help: 'Messages sent to proxies.',
    labelNames,
    registers,
  });
  const stalled = new Counter({
    name: 'destination_streams_stalled_total',
    help: 'Streams ended since their client did not read.',
    labelNames,
    registers,
  });
  for (const method of ['Get', 'GetProfile', 'WatchPort', 'Watch', 'Exports.Watch']) {
    open.set({ method }, 0);
    sent.inc({ method }, 0);
    stalled.inc({ method }, 0);
  }
  return {
    opened: (method) => open.inc({ method }),
    closed: (method) => open.dec({ method }),
    sent: (method, messages) => sent.inc({ method }, messages),
    stalled: (method) => stalled.inc({ method }),
  };
}
