import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as yaml from 'js-yaml';
import { mark, type Output, renderObjects, step, table, wantsColours } from './output.ts';

function recorder(): Output & { text: string } {
  return {
    text: '',
    interactive: false,
    out(text: string) {
      this.text += text;
    },
    err(text: string) {
      this.text += text;
    },
  };
}

test('a table has columns as wide as their widest cell and no blanks at the ends of lines', () => {
  assert.equal(
    table(
      ['NAME', 'ALIVE'],
      [
        ['west', 'True'],
        ['a-long-name', ''],
      ],
    ),
    'NAME          ALIVE\nwest          True\na-long-name\n',
  );
});

test('objects render as a YAML stream that reads back, and as a List in JSON', () => {
  const objects = [{ kind: 'A', text: 'no: true\nlines' }, { kind: 'B' }];
  assert.deepEqual(yaml.loadAll(renderObjects(objects, 'yaml')), objects);
  assert.deepEqual(JSON.parse(renderObjects(objects, 'json')), {
    apiVersion: 'v1',
    kind: 'List',
    items: objects,
  });
});

test('a step tells how it ended, and lets the failure through', async () => {
  const good = recorder();
  assert.equal(await step(good, 'works', () => Promise.resolve(7)), 7);
  assert.match(good.text, /^√ works \(\d+\.\d s\)\n$/);
  const bad = recorder();
  await assert.rejects(
    step(bad, 'breaks', () => Promise.reject(new Error('no'))),
    /no/,
  );
  assert.match(bad.text, /^× breaks /);
});

test('marks are coloured only where that is asked for', () => {
  assert.equal(mark('warning', false), '‼');
  assert.notEqual(mark('warning', true), '‼');
});

test('colours only on a terminal, and where nobody asks for none', () => {
  const terminal = { isTTY: true };
  assert.equal(wantsColours(terminal, {}), true);
  assert.equal(wantsColours(terminal, { NO_COLOR: '' }), true);
  assert.equal(wantsColours(terminal, { NO_COLOR: '1' }), false);
  assert.equal(wantsColours({}, {}), false);
});
