import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';

const RUN = new URL('run.ts', import.meta.url).href;

/** Runs a part whose start and drain are the given programs, which may `await hear(signal)`. @returns what they told, and how the process ended */
async function runPart(start: string, drain = ''): Promise<{ told: string[]; code: unknown }> {
  const source = `import { once } from 'node:events';
    import { run } from ${JSON.stringify(RUN)};
    const tell = (what) => process.stderr.write(what + '\\n');
    const hear = async (signal) => {
      const heard = once(process, signal);
      process.kill(process.pid, signal);
      await heard;
    };
    // What keeps the process alive, as a part's listeners do.
    setInterval(() => {}, 60_000);
    await run('test', () => ({ logLevel: 'error' }), async () => {
      ${start}
      tell('started');
      return { certified: Promise.resolve(), drain: async () => { ${drain} tell('drained'); } };
    });`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  const [told, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
  return { told: told.trim().split('\n'), code };
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT']) {
  test(`${signal} while it starts: it is drained when it has started, and ends with 0`, async () => {
    const ended = await runPart(`await hear('${signal}');`);
    assert.deepEqual(ended, { told: ['started', 'drained'], code: 0 });
  });
}

test('told to end twice, it drains once', async () => {
  const ended = await runPart(`await hear('SIGTERM');`, `await hear('SIGTERM');`);
  assert.deepEqual(ended, { told: ['started', 'drained'], code: 0 });
});

for (const signal of ['SIGHUP', 'SIGUSR2']) {
  test(`${signal} ends nothing: logs are rotated, terminals close`, async () => {
    const steps = `await hear('${signal}'); await hear('${signal}'); tell('lives');`;
    const ended = await runPart(`${steps} await hear('SIGTERM');`);
    assert.deepEqual(ended, { told: ['lives', 'started', 'drained'], code: 0 });
  });
}
