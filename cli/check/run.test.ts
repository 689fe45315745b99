import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KubernetesError } from '../../kubernetes/types.ts';
import type { ClusterAccess } from '../cluster-access.ts';
import { UserError } from '../errors.ts';
import { type Check, error, listed, none, ok, type Verdict, warning, worst } from './check.ts';
import { checksToJson, CheckPrinter } from './report.ts';
import { type CheckResult, runChecks, succeeded } from './run.ts';
import { optionsFor } from './testing/verdicts.ts';

/** No check of these tests asks a cluster. */
const NOWHERE = {} as ClusterAccess;

function check(id: string, run: () => Verdict | Promise<Verdict>, more: Partial<Check> = {}): Check {
  return { id, category: 'isthmus-config', stage: 'always', description: `it is ${id}`, run, ...more };
}

/** What a run tells, as `id result`, in the order in which it tells it. */
async function told(
  checks: readonly Check[],
  waitMs = 0,
): Promise<{ lines: string[]; results: CheckResult[] }> {
  const lines: string[] = [];
  const results = await runChecks(checks, {
    ...optionsFor(NOWHERE),
    deadline: performance.now() + waitMs,
    onResult: ({ check: { id }, verdict }) => lines.push(`${id} ${verdict.result}`),
  });
  return { lines, results };
}

test('a failure hides only what needs it; a fatal one ends the run; a warning does neither', async () => {
  const { lines, results } = await told([
    check('warned', () => warning('hm')),
    check('failed', () => error('no')),
    check('needs', () => ok, { needs: ['failed'] }),
    check('needs-that', () => ok, { needs: ['needs'] }),
    check('after-warning', () => ok, { needs: ['warned'] }),
    check('fatal', () => error('no'), { fatal: true }),
    check('behind', () => ok),
  ]);
  assert.deepEqual(lines, ['warned warning', 'failed error', 'after-warning success', 'fatal error']);
  assert.equal(succeeded(results), false);
  assert.ok(succeeded(results.slice(0, 1)));
});

test('checks run side by side, and are told in their order', async () => {
  let release = (): void => undefined;
  const released = new Promise<Verdict>((resolve) => (release = () => resolve(ok)));
  const { lines } = await told([
    check('slow', () => released),
    check('quick', () => {
      release();
      return ok;
    }),
  ]);
  assert.deepEqual(lines, ['slow success', 'quick success']);
});

test('what may mend itself is tried again, and what needs it with it; the rest is asked once', async () => {
  const asked = { mends: 0, stays: 0 };
  const { lines } = await told(
    [
      check('stays', () => (asked.stays++, error('no'))),
      check('mends', () => (asked.mends++ === 0 ? error('not yet') : ok), { waits: true, fatal: true }),
      check('behind', () => ok),
    ],
    60_000,
  );
  assert.deepEqual(lines, ['stays error', 'mends success', 'behind success']);
  assert.deepEqual(asked, { mends: 2, stays: 1 });
});

test('what a check throws is its failure, and ends nothing else', async () => {
  const throws = (id: string, thrown: Error): Check => check(id, () => Promise.reject(thrown));
  const { results } = await told([
    throws('api', new KubernetesError('GET /x: forbidden', 403, 'Forbidden')),
    throws('user', new UserError('no mesh', 'Install it.')),
    throws('bug', new TypeError('x is not a function')),
    check('well', () => ok),
  ]);
  const messages = results.map(({ verdict }) => (verdict.result === 'success' ? '' : verdict.message));
  assert.deepEqual(messages, [
    'GET /x: forbidden',
    'no mesh\nInstall it.',
    'internal error of this check: x is not a function',
    '',
  ]);
});

test('errors count more than warnings, and lists are cut', () => {
  assert.deepEqual(worst('things', [ok, warning('a'), error('b')]), error('b'));
  assert.deepEqual(worst('things', [warning('a'), warning('b')]), warning('things:\n* a\n* b'));
  assert.deepEqual(none('error', 'bad', []), ok);
  const many = listed(
    'bad',
    Array.from({ length: 10 }, (_, i) => `n${i}`),
  ).split('\n');
  assert.deepEqual([many.length, many.at(-1)], [10, '* and 2 more']);
});

test("results print in Linkerd's form; short shows only what is not well; JSON holds all", () => {
  const results: CheckResult[] = [
    { check: check('one', () => ok), verdict: ok },
    { check: check('two', () => ok, { category: 'isthmus-identity' }), verdict: error('no\n* a') },
  ];
  const print = (onlyProblems: boolean, coloured = false): string => {
    let text = '';
    const printer = new CheckPrinter((t) => void (text += t), { coloured, onlyProblems });
    for (const result of results) printer.print(result);
    printer.end(results);
    return text;
  };
  const problem =
    'isthmus-identity\n----------------\n× it is two\n    no\n    * a\n    see docs/checks.md#two for hints\n';
  const end = '\nStatus check results are ×\n';
  assert.equal(print(false), `isthmus-config\n--------------\n√ it is one\n\n${problem}${end}`);
  assert.equal(print(true), problem + end);
  assert.ok(print(false, true).includes('\u001b[32m√'));
  assert.deepEqual(checksToJson(results), {
    success: false,
    categories: [
      { categoryName: 'isthmus-config', checks: [{ description: 'it is one', result: 'success' }] },
      {
        categoryName: 'isthmus-identity',
        checks: [{ description: 'it is two', hint: 'docs/checks.md#two', error: 'no\n* a', result: 'error' }],
      },
    ],
  });
});
