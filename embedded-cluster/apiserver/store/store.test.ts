import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { ApiError, type StoredObject } from '../../types.ts';
import { type Revision, Store, type StoreOptions } from './store.ts';

async function openStore(
  t: TestContext,
  options: Partial<StoreOptions> = {},
): Promise<{ store: Store; reopen: () => Store }> {
  const directory = await mkdtemp(join(tmpdir(), 'store-'));
  const open = (): Store => new Store({ path: join(directory, 'state.db'), now: () => 0, ...options });
  let store = open();
  t.after(async () => {
    store.close();
    await rm(directory, { recursive: true });
  });
  return {
    store,
    reopen: () => {
      store.close();
      store = open();
      return store;
    },
  };
}

function object(name: string, value = 0, namespace = 'a'): StoredObject {
  return { apiVersion: 'v1', kind: 'Thing', metadata: { name, namespace, uid: name }, value };
}

function codeOf(action: () => unknown): number {
  try {
    action();
  } catch (error) {
    if (error instanceof ApiError) return error.code;
    throw error;
  }
  return 0;
}

void test('revisions grow by one across resources, and reopening goes on where it was', async (t) => {
  const { store, reopen } = await openStore(t);
  const first = store.put('things', object('x'));
  const second = store.put('others', object('y'));
  store.remove('things', first);
  assert.equal(first.metadata.resourceVersion, '2');
  assert.equal(second.metadata.resourceVersion, '3');
  assert.equal(store.revision, 4);
  const again = reopen();
  assert.equal(again.revision, 4);
  assert.equal(again.get('things', 'a', 'x'), undefined);
  assert.deepEqual(again.get('others', 'a', 'y'), second);
  assert.deepEqual(
    again.since('things', 1).map(({ type }) => type),
    ['ADDED', 'DELETED'],
  );
});

void test('an old snapshot is what was there at that revision', async (t) => {
  const { store } = await openStore(t);
  store.put('things', object('b', 1));
  store.put('things', object('c', 1));
  const at = store.revision;
  store.put('things', object('a', 2));
  store.put('things', object('b', 2));
  store.remove('things', object('c', 1));
  assert.deepEqual(
    store.listAt('things', undefined, at).map(({ metadata, ['value']: value }) => [metadata.name, value]),
    [
      ['b', 1],
      ['c', 1],
    ],
  );
});

void test('what left the window by count or age is 410, what lies ahead 504', async (t) => {
  let now = 0;
  const { store, reopen } = await openStore(t, { windowCount: 2, windowAgeMs: 1_000, now: () => now });
  for (let value = 0; value < 5; value++) store.put('things', object('x', value));
  store.compact();
  const oldest = store.compacted;
  assert.equal(oldest, store.revision - 2);
  assert.equal(store.since('things', oldest).length, 2);
  assert.equal(
    codeOf(() => store.since('things', oldest - 1)),
    410,
  );
  assert.equal(
    codeOf(() => store.since('things', store.revision + 1)),
    504,
  );
  now = 2_000;
  store.compact();
  assert.equal(
    codeOf(() => store.since('things', oldest)),
    410,
  );
  assert.equal(store.since('things', store.revision).length, 0);
  const again = reopen();
  assert.equal(again.compacted, store.compacted);
  assert.equal(again.get('things', 'a', 'x')?.['value'], 4);
});

void test('a listener that writes is told of its write after the one in hand', async (t) => {
  const { store } = await openStore(t);
  const seen: string[] = [];
  store.subscribe('things', ({ object: { metadata } }) => {
    if (metadata.name === 'x') store.put('things', object('y'));
  });
  store.subscribe('things', ({ object: { metadata } }) => seen.push(metadata.name ?? ''));
  store.put('things', object('x'));
  assert.deepEqual(seen, ['x', 'y']);
});

void test('property: after any writes, compactions and a reopening, the store is what a map would be', async (t) => {
  const command = fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    value: fc.nat(3),
    kind: fc.constantFrom('put', 'put', 'remove', 'compact'),
  });
  const { store: first, reopen } = await openStore(t, { windowCount: 3 });
  let store = first;
  const model = new Map<string, number>();
  fc.assert(
    fc.property(fc.array(command, { maxLength: 20 }), (commands) => {
      for (const { name, value, kind } of commands) {
        if (kind === 'put') {
          store.put('things', object(name, value));
          model.set(name, value);
        } else if (kind === 'remove' && model.delete(name)) store.remove('things', object(name, value));
        else if (kind === 'compact') store.compact();
      }
      const expected = [...model.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
      const show = (): unknown =>
        store.list('things').map(({ metadata, ['value']: value }) => [metadata.name, value]);
      assert.deepEqual(show(), expected);
      const { revision } = store;
      store = reopen();
      assert.deepEqual(show(), expected);
      assert.equal(store.revision, revision);
    }),
    { numRuns: 40 },
  );
});

void test('property: events since a revision lead from its snapshot to the present', async (t) => {
  const { store } = await openStore(t, { windowCount: 1_000 });
  const command = fc.record({ name: fc.constantFrom('a', 'b', 'c'), remove: fc.boolean() });
  fc.assert(
    fc.property(fc.array(command, { minLength: 1, maxLength: 15 }), fc.nat(14), (commands, at) => {
      let from = store.revision;
      for (const [index, { name, remove }] of commands.entries()) {
        const exists = store.get('things', 'a', name) !== undefined;
        if (!remove) store.put('things', object(name, index));
        else if (exists) store.remove('things', object(name));
        if (index === at) from = store.revision;
      }
      const replayed = new Map(
        store.listAt('things', 'a', from).map((entry) => [entry.metadata.name, entry['value']]),
      );
      for (const {
        type,
        object: { metadata, ['value']: value },
      } of store.since('things', from) satisfies Revision[]) {
        if (type === 'DELETED') replayed.delete(metadata.name);
        else replayed.set(metadata.name, value);
      }
      const present = store
        .list('things', 'a')
        .map(({ metadata, ['value']: value }) => [metadata.name, value]);
      assert.deepEqual(
        [...replayed.entries()].sort(([a = ''], [b = '']) => (a < b ? -1 : 1)),
        present,
      );
    }),
    { numRuns: 60 },
  );
});
