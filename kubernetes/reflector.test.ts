import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import * as fc from 'fast-check';
import type { ConfigMap } from '../api/kubernetes-types.ts';
import { createClient } from './client.ts';
import { createReflector } from './reflector.ts';
import type { Reflector, ReflectorOptions, ReflectorState } from './reflector.ts';
import { resources } from './resources.ts';
import { startFakeApiServer } from './testing/fake-api-server.ts';
import type { FakeApiServer } from './testing/fake-api-server.ts';
import { FakeClock } from './testing/fake-clock.ts';
import type { KubernetesClient } from './types.ts';

const { configMaps } = resources;
const quick = { initialMs: 1, maxMs: 4 };

let server: FakeApiServer;
let client: KubernetesClient;
let reflector: Reflector<ConfigMap> | undefined;
let log: string[];
let waiters: (() => void)[];

beforeEach(async () => {
  server = await startFakeApiServer();
  client = createClient(server.config());
  log = [];
  waiters = [];
});
afterEach(async () => {
  await reflector?.stop();
  await client.close();
  await server.stop();
});

const map = (name: string, value = 'v'): ConfigMap => ({
  metadata: { name, namespace: 'n' },
  data: { value },
});

function wake(): void {
  for (const waiter of waiters.splice(0)) waiter();
}

/** Resolves once `condition` holds; asked again at each change and state of the reflector. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => waiters.push(resolve));
}

function startReflector(options: ReflectorOptions<ConfigMap> = {}): Reflector<ConfigMap> {
  const started = createReflector(client, configMaps, {
    backoff: quick,
    ...options,
    onState: (state) => {
      options.onState?.(state);
      wake();
    },
  });
  reflector = started;
  const tell = (line: string): void => {
    log.push(line);
    wake();
  };
  started.subscribe({
    add: (o) => tell(`add ${o.metadata?.name} ${o.data?.['value']}`),
    update: (o, old) => tell(`update ${o.metadata?.name} ${old.data?.['value']}>${o.data?.['value']}`),
    delete: (o) => tell(`delete ${o.metadata?.name}`),
  });
  started.start();
  return started;
}

const watching = (r: Reflector<ConfigMap>) => (): boolean => r.state.kind === 'watching';
const lists = (): number => server.requests.filter((r) => !r.query.has('watch')).length;

test('lists in pages, then follows changes and tells the old form', async () => {
  for (const name of ['a', 'b', 'c']) server.put(configMaps, map(name));
  const r = startReflector({ pageSize: 2 });
  await r.synced;
  assert.equal(lists(), 2);
  await until(watching(r));
  server.put(configMaps, map('a', 'w'));
  server.remove(configMaps, 'n', 'b');
  await until(() => log.length === 5);
  assert.deepEqual(log, ['add a v', 'add b v', 'add c v', 'update a v>w', 'delete b']);
  assert.equal(r.get('n/a')?.data?.['value'], 'w');
  assert.equal(r.list().length, 2);
});

test('a broken watch resumes from the last version without a new list', async () => {
  const r = startReflector();
  await until(watching(r));
  server.put(configMaps, map('a'));
  await until(() => log.length === 1);
  server.endWatches('break');
  server.put(configMaps, map('b'));
  await until(() => log.length === 2);
  assert.equal(lists(), 1);
});

test('a bookmark moves the version on: no list is needed when the history before it is gone', async () => {
  const r = startReflector();
  await until(watching(r));
  server.storage.skipVersions(100);
  server.bookmark();
  server.put(configMaps, map('a'));
  await until(() => log.length === 1);
  server.storage.compact();
  server.endWatches('break');
  await until(watching(r));
  server.put(configMaps, map('b'));
  await until(() => log.length === 2);
  assert.equal(lists(), 1);
});

test('410 leads to a list whose differences alone are told', async () => {
  server.put(configMaps, map('same'));
  server.put(configMaps, map('goes'));
  const r = startReflector();
  await until(watching(r));
  await server.stop();
  await until(() => r.state.kind === 'backing-off');
  assert.ok(r.stalenessMs() >= 0);
  assert.equal(r.list().length, 2, 'what is known stays while the server is away');
  server.remove(configMaps, 'n', 'goes');
  server.put(configMaps, map('comes'));
  server.storage.compact();
  await server.start();
  await until(() => log.includes('add comes v'));
  assert.deepEqual(log, ['add goes v', 'add same v', 'delete goes', 'add comes v']);
});

test('an object made again under its name is a deletion and an addition', async () => {
  server.put(configMaps, map('a', 'old'));
  const r = startReflector();
  await until(watching(r));
  await server.stop();
  server.remove(configMaps, 'n', 'a');
  server.put(configMaps, map('a', 'new'));
  server.storage.compact();
  await server.start();
  await until(() => log.length === 3);
  assert.deepEqual(log, ['add a old', 'delete a', 'add a new']);
});

test('a snapshot that expires between two pages is listed again without pages', async () => {
  for (const name of ['a', 'b', 'c']) server.put(configMaps, map(name));
  server.fault = (request) => {
    if (!request.query.has('continue')) return undefined;
    server.put(configMaps, map('d'));
    server.storage.compact();
    return undefined;
  };
  const r = startReflector({ pageSize: 2 });
  await r.synced;
  assert.deepEqual(
    r.list().map((o) => o.metadata?.name),
    ['a', 'b', 'c', 'd'],
  );
});

test('every failure of the first list is survived, with growing delays between the tries', async () => {
  const delays: number[] = [];
  let failures = 0;
  server.fault = () => {
    failures += 1;
    if (failures > 6) return undefined;
    return failures % 2 === 0 ? { kind: 'body', body: '{"items":{}}' } : { kind: 'status', code: 500 };
  };
  const onState = (s: ReflectorState): void => {
    if (s.kind === 'backing-off') delays.push(s.until - s.since);
  };
  const r = startReflector({ onState, random: () => 0.999_999, backoff: { initialMs: 1, maxMs: 8 } });
  await r.synced;
  assert.deepEqual(delays.map(Math.round), [1, 2, 4, 8, 8, 8]);
});

test('a watch that goes silent is taken for dead and opened anew', async () => {
  const clock = new FakeClock();
  const errors: unknown[] = [];
  const onState = (s: ReflectorState): void => {
    if (s.kind === 'backing-off') errors.push(s.error);
  };
  const r = startReflector({ clock, onState, idleTimeoutMs: 120_000 });
  await until(watching(r));
  await clock.advance(119_000);
  server.bookmark();
  server.put(configMaps, map('a'));
  await until(() => log.length === 1);
  await clock.advance(119_000);
  assert.equal(r.state.kind, 'watching', 'the event had started the time anew');
  await clock.advance(1000);
  await until(() => errors.length === 1);
  assert.match(String(errors[0]), /nothing was heard for 120000 ms/);
  await clock.advance(1000);
  await until(watching(r));
  assert.equal(lists(), 1);
});

test('garbage on a watch leads to a new list, and nothing is lost', async () => {
  const r = startReflector();
  await until(watching(r));
  server.writeOnWatches('{"type":"MODIFIED","object":{}}\n');
  await server.until(() => lists() === 2);
  await until(watching(r));
  server.writeOnWatches('not json\n');
  await server.until(() => lists() === 3);
  await until(watching(r));
  server.put(configMaps, map('a'));
  await until(() => log.length === 1);
});

test('a server that answers lists but refuses watches is not asked in a tight loop', async () => {
  server.fault = (request) =>
    request.query.has('watch') ? { kind: 'status', code: 403, reason: 'Forbidden' } : undefined;
  const attempts: number[] = [];
  const onState = (s: ReflectorState): void => {
    if (s.kind === 'backing-off') attempts.push(s.attempt);
  };
  startReflector({ onState });
  await until(() => attempts.length === 5);
  assert.deepEqual(attempts, [1, 2, 3, 4, 5]);
});

test('a handler that throws stops neither the cache nor the other handlers', async () => {
  const r = startReflector();
  r.subscribe({
    add: () => {
      throw new Error('a defect');
    },
  });
  await until(watching(r));
  server.put(configMaps, map('a'));
  server.put(configMaps, map('b'));
  await until(() => log.length === 2);
});

test('indexes follow additions, changes and deletions', async () => {
  server.put(configMaps, map('a', 'red'));
  const r = startReflector();
  r.addIndex('value', (o) => (o.data?.['value'] === undefined ? [] : [o.data['value']]));
  await until(watching(r));
  server.put(configMaps, map('b', 'red'));
  server.put(configMaps, map('a', 'blue'));
  await until(() => log.length === 3);
  assert.deepEqual(
    r.byIndex('value', 'red').map((o) => o.metadata?.name),
    ['b'],
  );
  const has = (): boolean[] => ['red', 'blue', 'green'].map((value) => r.hasByIndex('value', value));
  assert.deepEqual(has(), [true, true, false]);
  server.remove(configMaps, 'n', 'b');
  await until(() => log.length === 4);
  assert.deepEqual(r.byIndex('value', 'red'), []);
  assert.deepEqual(has(), [false, true, false]);
});

test('managedFields and last-applied are not kept, and transform has the last word', async () => {
  const object = map('a');
  object.metadata = {
    ...object.metadata,
    managedFields: [{ manager: 'm' }],
    annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}', kept: 'yes' },
  };
  server.put(configMaps, object);
  const r = startReflector({ transform: (o) => ({ ...o, data: { value: 'small' } }) });
  await r.synced;
  const cached = r.get('n/a');
  assert.equal(cached?.metadata?.managedFields, undefined);
  assert.deepEqual(cached?.metadata?.annotations, { kept: 'yes' });
  assert.deepEqual(cached?.data, { value: 'small' });
});

test('a label selector follows objects in and out of it', async () => {
  const r = startReflector({ labelSelector: 'on=yes' });
  await until(watching(r));
  const labelled = map('a');
  labelled.metadata = { ...labelled.metadata, labels: { on: 'yes' } };
  server.put(configMaps, map('a'));
  server.put(configMaps, labelled);
  await until(() => log.length === 1);
  server.put(configMaps, map('a'));
  await until(() => log.length === 2);
  assert.deepEqual(log, ['add a v', 'delete a']);
});

test('stop ends it for good', async () => {
  const r = startReflector();
  await until(watching(r));
  await r.stop();
  assert.equal(r.state.kind, 'stopped');
  await server.until(() => server.watchCount === 0);
});

type Step =
  | { do: 'put'; name: string; value: string }
  | { do: 'remove' | 'recreate'; name: string }
  | { do: Break };
type Break = 'end' | 'break' | 'compact' | 'compact-and-break' | 'restart' | 'bookmark' | 'garbage' | 'yield';

const names = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const breaks: Break[] = [
  'end',
  'break',
  'compact',
  'compact-and-break',
  'restart',
  'bookmark',
  'garbage',
  'yield',
];
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('put' as const),
        name: names,
        value: fc.string({ maxLength: 3 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constantFrom('remove' as const, 'recreate' as const), name: names }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom(...breaks) }) },
  ),
  { minLength: 1, maxLength: 25 },
);

async function play(step: Step): Promise<void> {
  switch (step.do) {
    case 'put':
      server.put(configMaps, map(step.name, step.value));
      return;
    case 'remove':
    case 'recreate':
      if (server.find(configMaps, 'n', step.name) !== undefined) server.remove(configMaps, 'n', step.name);
      if (step.do === 'recreate') server.put(configMaps, map(step.name, 'again'));
      return;
    case 'end':
    case 'break':
      server.endWatches(step.do === 'end' ? 'clean' : 'break');
      return;
    case 'compact-and-break':
      server.storage.compact();
      server.endWatches('break');
      return;
    case 'compact':
      server.storage.compact();
      return;
    case 'restart':
      await server.stop();
      await server.start();
      return;
    case 'bookmark':
      server.bookmark();
      return;
    case 'garbage':
      server.writeOnWatches('garbage\n');
      return;
    case 'yield':
      await new Promise((resolve) => setImmediate(resolve));
  }
}

test('property: after any history of changes, breaks and compactions the cache equals the server, and so does what was told', async () => {
  const r = startReflector({ pageSize: 2, backoff: { initialMs: 0.1, maxMs: 1 } });
  const told = new Map<string, string | undefined>();
  const misuse: string[] = [];
  r.subscribe({
    add: (o) => {
      if (told.has(o.metadata?.name ?? '')) misuse.push(`second addition of ${o.metadata?.name}`);
      told.set(o.metadata?.name ?? '', o.data?.['value']);
    },
    update: (o) => {
      if (!told.has(o.metadata?.name ?? '')) misuse.push(`update of the unknown ${o.metadata?.name}`);
      told.set(o.metadata?.name ?? '', o.data?.['value']);
    },
    delete: (o) => {
      if (!told.delete(o.metadata?.name ?? '')) misuse.push(`deletion of the unknown ${o.metadata?.name}`);
    },
  });
  let round = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      for (const step of history) await play(step);
      // The last change of the history is seen only after all before it.
      const marker = `round-${(round += 1)}`;
      server.put(configMaps, map('marker', marker));
      await until(() => r.get('n/marker')?.data?.['value'] === marker);
      const expected = server
        .list(configMaps)
        .map((o) => [o.metadata?.name ?? '', o.data?.['value']] as const);
      const cached = r.list().map((o) => [o.metadata?.name ?? '', o.data?.['value']] as const);
      const sorted = (pairs: (readonly [string, string | undefined])[]) =>
        pairs.sort(([a], [b]) => (a < b ? -1 : 1));
      assert.deepEqual(sorted(cached), sorted(expected));
      assert.deepEqual(sorted([...told]), sorted(expected));
      assert.deepEqual(misuse, []);
    }),
    { numRuns: 40 },
  );
});

test('a kind that is not served is asked for until it is, as when its CustomResourceDefinition comes later', async () => {
  server.put(configMaps, map('a'));
  let refusals = 0;
  server.fault = () => {
    if (refusals === 3) return undefined;
    refusals += 1;
    return {
      kind: 'status',
      code: 404,
      reason: 'NotFound',
      message: 'the server could not find the requested resource',
    };
  };
  const started = startReflector();
  await until(() => started.hasSynced);
  assert.equal(refusals, 3);
  assert.equal(started.list().length, 1);
});
