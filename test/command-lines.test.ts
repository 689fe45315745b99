import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** ms; a tool that takes bad arguments for good ones would run for minutes. */
const TIMEOUT_MS = 30_000;

function start(tool: string, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const file = fileURLToPath(new URL(`../${tool}/run.ts`, import.meta.url));
  return spawnSync(process.execPath, [file, ...args], { encoding: 'utf8', timeout: TIMEOUT_MS });
}

const refused: [tool: string, args: string[], message: RegExp][] = [
  ['bench', ['--compare-node-args', '--expose-gc'], /--compare-node-args=/],
  ['bench', ['--rounds', 'x'], /^error: --rounds x: write a whole number, 1 or more\n/],
  ['bench', ['--copies', '0'], /^error: --copies 0: /],
  ['bench', ['--case', 'nope'], /^error: --case nope: there are pair, /],
  ['bench', ['--case', 'constructor'], /^error: --case constructor: there are pair, /],
  [
    'bench',
    ['--compare', 'nosuchrevision'],
    /^error: --compare nosuchrevision: git knows no such revision\n/,
  ],
  ['bench', ['extra'], /Unexpected argument 'extra'/],
  ['test/fuzz', ['--target', 'nope'], /^error: --target nope: there are http1-request, /],
  ['test/fuzz', ['--seconds', '1.5'], /^error: --seconds 1.5: /],
  ['test/fuzz', ['--seed', 'x'], /^error: --seed x: /],
  ['test/fuzz', ['--bogus'], /^error: Unknown option '--bogus'/],
  ['test/soak', ['--for', '0s'], /^error: --for 0s: write 90s or 10m\n/],
  ['test/soak', ['--for'], /^error: Option '--for <value>' argument missing/],
  ['test', ['--bogus'], /^error: Unknown option '--bogus'/],
];

for (const [tool, args, message] of refused) {
  test(`${tool} says what is wrong with ${args.join(' ')}, and how it is used`, () => {
    const { status, stdout, stderr } = start(tool, ...args);
    assert.match(stderr, message);
    assert.match(stderr, /\nusage: npm (run|test) /);
    assert.doesNotMatch(stderr, /^ +at /m, 'no stack');
    assert.equal(stdout, '');
    assert.equal(status, 64);
  });
}

for (const tool of ['bench', 'test/fuzz', 'test/soak', 'test']) {
  test(`${tool} tells its options`, () => {
    const { status, stdout, stderr } = start(tool, '--help');
    assert.match(stdout, /^usage: npm (run|test) .*\n {2}--/);
    assert.equal(stderr, '');
    assert.equal(status, 0);
  });
}
