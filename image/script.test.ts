import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { env } from '../api/names.ts';
import { compile, compiledFile, runScript } from './script.ts';

describe('a bundled file as a script', () => {
  let dir = '';
  let file = '';
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'isthmus-script-'));
    file = join(dir, 'part.cjs');
    writeFileSync(
      file,
      `exports.name = 'part'; exports.later = () => 'later'; exports.path = require('node:path').sep; exports.later();`,
    );
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  test('runs, exports and requires as a module does', () => {
    const { name, path } = runScript(file) as { name: string; path: string };
    assert.deepEqual([name, path], ['part', '/']);
  });

  test('a process that is told so keeps what was compiled, and another one takes it', () => {
    const script = fileURLToPath(new URL('script.ts', import.meta.url));
    const program = `const { runScript } = await import(${JSON.stringify(script)}); runScript(${JSON.stringify(file)}).later();`;
    const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', program];
    assert.equal(compile(file).cachedDataRejected, undefined);
    const done = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      env: { ...process.env, [env.keepCompiled]: '1' },
    });
    assert.equal(done.stderr, '');
    assert.equal(compile(file).cachedDataRejected, false);
  });

  test('gets other files by their place, and modules of Node without all that their exports would load', () => {
    writeFileSync(join(dir, 'beside.cjs'), `exports.name = 'beside';`);
    const asking = join(dir, 'asking.cjs');
    writeFileSync(
      asking,
      `exports.name = require('./beside.cjs').name; exports.read = typeof require('node:fs').readFileSync;`,
    );
    const program = `const { runScript } = await import(${JSON.stringify(import.meta.resolve('./script.ts'))});
      const { name, read } = runScript(${JSON.stringify(asking)});
      console.log(name, read, process.moduleLoadList.includes('NativeModule internal/fs/streams'));`;
    const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', program];
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.deepEqual([stdout, stderr], ['beside function false\n', '']);
  });

  test('what is damaged is left aside', () => {
    writeFileSync(compiledFile(file), 'nothing that V8 knows');
    assert.equal((runScript(file) as { later: () => string }).later(), 'later');
  });
});
