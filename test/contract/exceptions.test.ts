import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { meantDifferences, unservedKinds, unservedSubresources } from './exceptions.ts';

const readme = readFileSync(new URL('../../embedded-cluster/README.md', import.meta.url), 'utf8');

/** The text below a heading, up to the next of its level or above. */
function section(heading: string): string {
  const start = readme.indexOf(`${heading}\n`);
  assert.ok(start !== -1, `the README has no ${heading}`);
  const rest = readme.slice(start + heading.length);
  const end = rest.search(/\n##? /);
  return end === -1 ? rest : rest.slice(0, end);
}

function bullet(title: string): string {
  const found = section('## Where it differs from a real cluster')
    .split(/\n(?=- )/)
    .find((text) => text.startsWith(`- **${title}`));
  assert.ok(found !== undefined, title);
  return found;
}

function quoted(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? '').sort();
}

test("the embedded cluster's README names the differences that the contract makes exceptions for, and no others", () => {
  const titles = [...section('## Where it differs from a real cluster').matchAll(/^- \*\*(.+?)\*\*/gm)];
  assert.deepEqual(
    titles.map(([, title]) => title),
    [...meantDifferences],
  );
});

test('it names the kinds that are not served', () => {
  assert.deepEqual(quoted(bullet('Some kinds are not served')), [...unservedKinds].sort());
});

test('it names the subresources that are not served', () => {
  assert.deepEqual(
    quoted(bullet('Some subresources of pods are not served')),
    [...unservedSubresources].sort(),
  );
});
