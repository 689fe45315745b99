import type { ChildProcess } from 'node:child_process';
import { request } from 'node:http';
import { port } from '../api/names.ts';

/** ms for one start. */
const GIVE_UP_MS = 20_000;

/**
 * Resolves when a part of ours is ready: it has a certificate then, and listens. Rejects when it ends before, or takes
 * too long.
 * @param everyMs between two looks
 */
export async function untilReady(child: ChildProcess, host: string, everyMs: number): Promise<void> {
  const end = performance.now() + GIVE_UP_MS;
  while (!(await isReady(host))) {
    if (performance.now() > end || child.exitCode !== null)
      throw new Error(`${child.spawnargs.join(' ')} does not become ready`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

function isReady(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ host, port: port.admin, path: '/ready', agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.once('error', () => resolve(false));
    asked.end();
  });
}
