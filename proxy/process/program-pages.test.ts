import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { filePages } from './program-pages.ts';

/** A mapping as /proc/PID/smaps has it. */
function mapping(head: string, amounts: Record<string, number>): string {
  const all = {
    Size: 64,
    Rss: 64,
    Anonymous: 0,
    Private_Dirty: 0,
    Shared_Dirty: 0,
    Swap: 0,
    Locked: 0,
    ...amounts,
  };
  const lines = Object.entries(all).map(
    ([name, kb]) => `${`${name}:`.padEnd(16)}${String(kb).padStart(8)} kB`,
  );
  return `${[head, ...lines, 'VmFlags: rd mr mw me'].join('\n')}\n`;
}

const TEXT = '00400000-00410000 r-xp 00000000 fe:00 4711                       /usr/bin/node';
const CONSTANTS = '7fff00400000-7fff00402000 r--p 00010000 fe:00 4711                /usr/lib/a library.so';

test('code and constants as they are in their files', () => {
  const found = filePages(mapping(TEXT, {}) + mapping(CONSTANTS, {}));
  assert.deepEqual(found, [
    { start: 0x40_0000, length: 0x1_0000 },
    { start: 0x7fff_0040_0000, length: 0x2000 },
  ]);
});

test('what was changed, in memory or swapped out, what is locked and what is not there is left alone', () => {
  for (const changed of ['Anonymous', 'Private_Dirty', 'Shared_Dirty', 'Swap', 'Locked'])
    assert.deepEqual(filePages(mapping(TEXT, { [changed]: 4 })), [], changed);
  assert.deepEqual(filePages(mapping(TEXT, { Rss: 0 })), []);
  assert.equal(filePages(mapping(TEXT, { Anonymous: 4 }) + mapping(CONSTANTS, {})).length, 1);
});

test('what the kernel does not tell all of is left alone', () => {
  for (const untold of ['Anonymous', 'Private_Dirty', 'Shared_Dirty'])
    assert.deepEqual(
      filePages(mapping(TEXT, {}).replace(new RegExp(`^${untold}:.*\n`, 'm'), '')),
      [],
      untold,
    );
});

test('what may be written, is shared or has no file is left alone', () => {
  const heads = [
    TEXT.replace('r-xp', 'rw-p'),
    TEXT.replace('r-xp', 'rwxp'),
    TEXT.replace('r-xp', 'r--s'),
    '00400000-00410000 r-xp 00000000 00:00 0',
    '00400000-00410000 r--p 00000000 00:00 0                                  [vvar]',
  ];
  for (const head of heads) assert.deepEqual(filePages(mapping(head, {})), [], head);
});

test('the program of this process is among its own', { skip: process.platform !== 'linux' }, () => {
  assert.ok(filePages(readFileSync('/proc/self/smaps', 'latin1')).length > 0);
});
