import { Apps } from '../inbound/apps.ts';
import { ConnectionTracker } from '../telemetry/connections.ts';
import type { Registry } from '../telemetry/registry.ts';
import { TcpMetrics } from '../telemetry/tcp-metrics.ts';
import { wrapStream } from '../transport/stream-transport.ts';
import { TimerWheel } from '../transport/timers.ts';

/** The apps of a pod on the loopback interface, for tests of what leads to them. By default time stands still. */
export function loopbackApps(registry: Registry, timers = new TimerWheel(() => 0)): Apps {
  return new Apps({
    podIp: '127.0.0.1',
    connectMs: 1_000,
    wrap: wrapStream,
    timers,
    tcp: new TcpMetrics(registry),
    tracker: new ConnectionTracker(registry, () => 0),
    random: () => 0.5,
  });
}
