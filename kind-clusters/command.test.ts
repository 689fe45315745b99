import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from './command.ts';

const node = (script: string): string[] => [process.execPath, '--eval', script];

test('standard output is the answer, standard input is given', async () => {
  const script = "process.stderr.write('noise'); process.stdin.pipe(process.stdout)";
  assert.equal(await run(node(script), { input: 'hello' }), 'hello');
});

test('a command that fails is named, with its last words', async () => {
  const script = "console.error('early'); console.error('no such cluster'); process.exit(3)";
  await assert.rejects(run(node(script)), {
    name: 'UserError',
    message: /ended with 3$/,
    hint: /early\n +no such cluster$/,
  });
});

test('a command that is not there is told', async () => {
  // By its path: of a bare name a person without rights is told what else is wrong on the way.
  await assert.rejects(run(['/isthmus-no-such-program']), { message: /ENOENT/ });
});

test('an abort ends the command', async () => {
  const abort = new AbortController();
  const said = Promise.withResolvers<void>();
  const running = run(node("console.log('up'); setInterval(() => {}, 1000)"), {
    signal: abort.signal,
    onOutput: () => said.resolve(),
  });
  await said.promise;
  abort.abort();
  await assert.rejects(running, { name: 'UserError', message: 'interrupted' });
});
