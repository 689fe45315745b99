import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { it } from 'node:test';
import { temporaryFolder } from '../test/testing/cleaner.ts';
import { lockDataDir } from './data-lock.ts';

const LOCK = new URL('data-lock.ts', import.meta.url).href;
/** Says whether it has got the lock, and holds it until it is ended. */
const SCRIPT = `
  const { lockDataDir } = await import(${JSON.stringify(LOCK)});
  try { lockDataDir(process.argv[1]); console.log('mine'); } catch { console.log('refused'); }
  process.stdin.resume();`;

await it('is held by one at a time and names the holder', async (t) => {
  const dir = await temporaryFolder(t);
  const release = lockDataDir(dir);
  assert.throws(() => lockDataDir(dir), new RegExp(`in use by the cluster with process id ${process.pid}:`));
  release();
  lockDataDir(dir)();
});

await it('goes to exactly one of several that start together after its holder was killed', async (t) => {
  const dir = await temporaryFolder(t);
  const start = async (): Promise<{ answer: string; kill: () => Promise<unknown> }> => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT, dir], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    const kill = (): Promise<unknown> => {
      child.kill('SIGKILL');
      return ended;
    };
    t.after(kill);
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    return { answer: line.toString().trim(), kill };
  };
  const first = await start();
  assert.equal(first.answer, 'mine');
  await first.kill();
  const answers = (await Promise.all([start(), start(), start()])).map(({ answer }) => answer);
  assert.deepEqual(answers.sort(), ['mine', 'refused', 'refused']);
});

await it('is got and let go where nothing can be written', async (t) => {
  const dir = await temporaryFolder(t);
  // Files may not grow: a full disk, without one.
  const args = [
    '-c',
    'ulimit -f 0; exec "$0" "$@"',
    process.execPath,
    '--input-type=module',
    '-e',
    SCRIPT,
    dir,
  ];
  const child = spawn('/bin/sh', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  t.after(() => child.kill('SIGKILL') && ended);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  assert.equal(line.toString().trim(), 'mine');
  assert.throws(() => lockDataDir(dir), /in use by the cluster with process id unknown:/);
});
