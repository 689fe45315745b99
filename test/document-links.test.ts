import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Documents by their path. */
const documents = new Map(
  globSync(['*.md', 'docs/**/*.md', 'embedded-cluster/**/*.md'], { cwd: ROOT }).map((path) => [
    path,
    readFileSync(join(ROOT, path), 'utf8'),
  ]),
);

/** The anchor of a heading, as GitHub makes it: lower case, punctuation dropped, blanks as dashes. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

/** Of a document's headings; GitHub numbers those that come again: `setup`, `setup-1`, `setup-2`. */
function anchors(text: string): Set<string> {
  const found = new Set<string>();
  for (const [, heading = ''] of text.matchAll(/^#+ (.+)$/gm)) {
    const first = anchor(heading);
    let name = first;
    for (let i = 1; found.has(name); i++) name = `${first}-${i}`;
    found.add(name);
  }
  return found;
}

function brokenLinks(path: string, text: string): string[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map((link) => link[1] ?? '')
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [file = '', heading] = link.split('#');
      const target = file === '' ? path : join(dirname(path), file);
      if (!existsSync(join(ROOT, target))) return true;
      const found = documents.get(target);
      return heading !== undefined && !(found !== undefined && anchors(found).has(heading));
    });
}

/**
 * Source files that a document names with a folder, from the root, from `proxy/` or from where it stands, and that are
 * not there.
 */
function missingSources(path: string, text: string): string[] {
  const folders = ['', 'proxy', dirname(path)];
  return [...text.matchAll(/`((?:[\w.-]+\/)+[\w.-]+\.ts)`/g)]
    .map((name) => name[1] ?? '')
    .filter((name) => !folders.some((folder) => existsSync(join(ROOT, folder, name))));
}

test('documents are found, and what is broken in one', () => {
  for (const path of ['README.md', 'docs/performance.md', 'embedded-cluster/schema/README.md'])
    assert.ok(documents.has(path), path);
  assert.deepEqual(
    brokenLinks('README.md', '[a](LICENSE) [b](gone.md) [c](README.md#try-it) [d](README.md#gone)'),
    ['gone.md', 'README.md#gone'],
  );
  assert.deepEqual([...anchors('# A b\n## C\n## A b!\n## A b')], ['a-b', 'c', 'a-b-1', 'a-b-2']);
  assert.deepEqual(
    missingSources(
      'docs/policy.md',
      '`proxy/proxy.ts` `bytes/bytes.ts` `proxy/gone.ts` `schema/generate.ts`',
    ),
    ['proxy/gone.ts', 'schema/generate.ts'],
  );
  assert.deepEqual(missingSources('embedded-cluster/README.md', '`schema/generate.ts`'), []);
});

for (const [path, text] of documents) {
  test(`links of ${path} lead to files and headings that are there, and so do source files that it names`, () => {
    assert.deepEqual(brokenLinks(path, text), []);
    assert.deepEqual(missingSources(path, text), []);
  });
}
