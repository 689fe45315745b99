import { AccessLog } from './access-log/access-log.ts';
import type { Runtime } from './runtime.ts';
import { Observers } from './telemetry/observers.ts';
import { WallTime } from './telemetry/wall-time.ts';
import { startTracing } from './trace/tracing.ts';

/** What follows single requests in this process. */
export interface Observing {
  /** Undefined: neither an access log nor traces are wanted. */
  readonly observers: Observers | undefined;
  /** Writes and sends what is left, as far as that can be done within seconds. */
  close(): Promise<void>;
}

/** Starts the access log and traces, as far as the configuration asks for them. Throws where the log's file cannot be opened. */
export function startObserving(runtime: Runtime): Observing {
  const { config, now } = runtime;
  const accessLog =
    config.accessLog === undefined ? undefined : new AccessLog({ ...runtime, ...config.accessLog });
  const tracing = config.traces === undefined ? undefined : startTracing(config.traces, runtime);
  const reopen = (): void => accessLog?.reopen();
  // What rotates logs renames the file and says so.
  if (accessLog !== undefined) process.on('SIGHUP', reopen);
  const wanted = accessLog !== undefined || tracing !== undefined;
  return {
    observers: wanted
      ? new Observers({ accessLog, tracer: tracing?.tracer, wall: new WallTime(now) })
      : undefined,
    async close() {
      process.off('SIGHUP', reopen);
      await Promise.all([accessLog?.close(), tracing?.close()]);
    },
  };
}
