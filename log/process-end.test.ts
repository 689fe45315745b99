import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';

const DOOR = new URL('index.ts', import.meta.url).href;

/** Runs a program that has the door of this part as `log`. @returns what it wrote, line by line, and how it ended */
async function run(program: string): Promise<{ code: unknown; lines: { msg: string; error?: string }[] }> {
  const source = `import * as log from ${JSON.stringify(DOOR)};\n${program}`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [written, [code]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  const lines = written.split('\n').filter((line) => line !== '');
  return { code, lines: lines.map((line) => JSON.parse(line) as { msg: string }) };
}

test('a process outlives faults, each of which is told with its place, and ends with its code when all is written', async () => {
  const { code, lines } = await run(`
    const own = log.createOwnLog({ name: 'test' }, 'info');
    log.outliveFaults(own.log);
    // What would keep the process from ending by itself.
    setInterval(() => {}, 1000);
    setImmediate(() => {
      void Promise.reject(new Error('nobody waits for this'));
      setImmediate(() => {
        setImmediate(() => {
          for (let i = 0; i < 1000; i++) own.log.info({ i }, 'still here');
          void log.endProcess(own, log.EXIT_CONFIG);
        });
        throw new Error('thrown to nobody');
      });
    });
  `);
  assert.equal(code, 64);
  const [rejected, thrown, ...rest] = lines;
  assert.equal(rejected?.msg, 'unhandled rejection');
  assert.match(rejected?.error ?? '', /nobody waits for this\n +at /);
  assert.equal(thrown?.msg, 'uncaught exception');
  assert.match(thrown?.error ?? '', /thrown to nobody\n +at /);
  assert.equal(rest.filter(({ msg }) => msg === 'still here').length, 1000);
});
