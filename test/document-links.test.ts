import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Documents by their path. */
const documents = new Map(
  globSync(['*.md', 'docs/**/*.md', 'embedded-cluster/*.md'], { cwd: ROOT }).map((path) => [
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

function anchors(text: string): Set<string> {
  return new Set([...text.matchAll(/^#+ (.+)$/gm)].map((heading) => anchor(heading[1] ?? '')));
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

/** Source files that a document names with a folder, from the root or from `proxy/`, and that are not there. */
function missingSources(text: string): string[] {
  return [...text.matchAll(/`((?:[\w.-]+\/)+[\w.-]+\.ts)`/g)]
    .map((name) => name[1] ?? '')
    .filter((name) => !existsSync(join(ROOT, name)) && !existsSync(join(ROOT, 'proxy', name)));
}

test('documents are found, and what is broken in one', () => {
  assert.ok(documents.has('README.md') && documents.has(join('docs', 'performance.md')));
  assert.deepEqual(
    brokenLinks('README.md', '[a](LICENSE) [b](gone.md) [c](README.md#try-it) [d](README.md#gone)'),
    ['gone.md', 'README.md#gone'],
  );
  assert.deepEqual(missingSources('`proxy/proxy.ts` `bytes/bytes.ts` `proxy/gone.ts`'), ['proxy/gone.ts']);
});

for (const [path, text] of documents) {
  test(`links of ${path} lead to files and headings that are there, and so do source files that it names`, () => {
    assert.deepEqual(brokenLinks(path, text), []);
    assert.deepEqual(missingSources(text), []);
  });
}
