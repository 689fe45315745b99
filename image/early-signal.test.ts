import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const MODULE = new URL('early-signal.ts', import.meta.url).href;

/** How a process ends that sends itself SIGTERM behind these steps. */
function endOf(steps: string): { status: number | null; signal: string | null } {
  const source = `import { endOnEarlySignal } from ${JSON.stringify(MODULE)};
    setInterval(() => {}, 60_000);
    const takeBack = endOnEarlySignal();
    ${steps}
    process.kill(process.pid, 'SIGTERM');`;
  const { status, signal } = spawnSync(process.execPath, ['--input-type=module', '--eval', source]);
  return { status, signal };
}

test('before a part listens, SIGTERM ends the process with 0', () => {
  assert.deepEqual(endOf(''), { status: 0, signal: null });
});

test('a part that listens ends in its own way, also while it starts', () => {
  const drains = `process.on('SIGTERM', () => setImmediate(() => process.exit(7)));`;
  assert.deepEqual(endOf(drains), { status: 7, signal: null });
});

test('taken back, it is as it was', () => {
  assert.deepEqual(endOf('takeBack();'), { status: null, signal: 'SIGTERM' });
});
