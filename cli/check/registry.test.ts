import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { checks, checksFor } from './registry.ts';

const here = new URL('.', import.meta.url);
const ids = checks.map(({ id }) => id);

function matches(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, id = '']) => id);
}

test('each check has a test that makes it fail', () => {
  const tests = readdirSync(here)
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => readFileSync(new URL(file, here), 'utf8'));
  const failing = new Set(tests.flatMap((text) => matches(text, /\bfails\(\s*'([a-z0-9-]+)'/g)));
  // Those that one loop makes fail: `['id', …] as const`.
  for (const id of tests.flatMap((text) => matches(text, /^\s*\['([a-z0-9-]+)', component\./gm)))
    failing.add(id);
  assert.deepEqual(
    ids.filter((id) => !failing.has(id)),
    [],
  );
  assert.deepEqual(
    [...failing].filter((id) => !ids.includes(id)),
    [],
  );
});

test('each check has a heading in docs/checks.md, under its category, with cause and cure', () => {
  const text = readFileSync(new URL('../../docs/checks.md', here), 'utf8');
  const sections = text.split(/^## /m).slice(1);
  const documented = sections.flatMap((section) => {
    const category = section.slice(0, section.indexOf('\n')).trim();
    return matches(section, /^### ([a-z0-9-]+)$/gm).map((id) => `${category} ${id}`);
  });
  assert.deepEqual(documented.toSorted(), checks.map(({ category, id }) => `${category} ${id}`).toSorted());
  for (const [, id = '', body = ''] of text.matchAll(/^### ([a-z0-9-]+)\n([^#]*)/gm)) {
    assert.match(body, /\*Cause\*: \S/, id);
    assert.match(body, /\*Cure\*: \S/, id);
  }
});

test('ids are unique, a check needs only checks before it, and a category is printed once', () => {
  assert.equal(new Set(ids).size, ids.length);
  for (const [index, { id, needs = [] }] of checks.entries()) {
    for (const need of needs) assert.ok(ids.slice(0, index).includes(need), `${id} needs ${need}`);
  }
  const heads = checks.map(({ category }) => category).filter((c, i, all) => c !== all[i - 1]);
  assert.equal(new Set(heads).size, heads.length);
});

test('a run before an installation asks nothing of one; --proxy adds the proxies', () => {
  const categories = (pre: boolean, proxy: boolean): Set<string> =>
    new Set(checksFor({ pre, proxy }).map(({ category }) => category));
  assert.deepEqual(
    [...categories(true, false)],
    ['kubernetes-api', 'kubernetes-version', 'pre-kubernetes-setup', 'isthmus-version'],
  );
  assert.ok(!categories(false, false).has('pre-kubernetes-setup'));
  const proxies =
    checksFor({ pre: false, proxy: true }).length - checksFor({ pre: false, proxy: false }).length;
  assert.equal(proxies, checks.filter(({ stage }) => stage === 'proxy').length);
});
