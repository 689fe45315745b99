import type { Container, Probe } from '../../api/kubernetes-types.ts';
import type { Clock } from '../clock.ts';
import { httpGet } from './probe.ts';
import type { ProbeTarget } from './probe.ts';

/** One of a container's `lifecycle` handlers. */
export interface LifecycleHandler {
  exec?: { command: string[] };
  httpGet?: NonNullable<Probe['httpGet']>;
  sleep?: { seconds: number };
}

/** The handler of a container for `postStart` or `preStop`, when it has one. */
export function lifecycleHandler(
  container: Container,
  which: 'postStart' | 'preStop',
): LifecycleHandler | undefined {
  return container.lifecycle?.[which] as LifecycleHandler | undefined;
}

/** Runs a handler to its end, at most `limitMs`. Rejects with why it failed. */
export async function runLifecycleHandler(
  handler: LifecycleHandler,
  target: ProbeTarget,
  clock: Clock,
  limitMs: number,
): Promise<void> {
  if (handler.exec !== undefined) {
    const { exitCode, output } = await target.exec(handler.exec.command, limitMs);
    if (exitCode !== 0) throw new Error(`command exited with ${exitCode}: ${output}`);
  } else if (handler.httpGet !== undefined) {
    await httpGet(handler.httpGet, target, limitMs);
  } else if (handler.sleep !== undefined) {
    const ms = Math.min(limitMs, handler.sleep.seconds * 1000);
    await new Promise<void>((resolve) => {
      clock.after(ms, resolve);
    });
  }
}
