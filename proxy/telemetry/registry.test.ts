import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exposition } from './exposition.ts';
import { Histogram, LATENCY_BUCKETS, MAX_SERIES, Registry } from './registry.ts';

async function textOf(registry: Registry): Promise<string> {
  let text = '';
  for await (const slice of exposition(registry)) text += slice;
  return text;
}

test('writes the text format with escaped labels, and leaves empty labels out', async () => {
  const registry = new Registry();
  registry
    .counter('request_total', 'Requests')
    .cell({ direction: 'outbound', authority: 'a"b\\c\nd', tls: '' })
    .add(3);
  registry.gauge('unused', 'Nothing recorded');
  assert.equal(
    await textOf(registry),
    '# HELP request_total Requests\n# TYPE request_total counter\nrequest_total{direction="outbound",authority="a\\"b\\\\c\\nd"} 3\n',
  );
});

test('a histogram counts a value in the first bucket whose bound is not below it', () => {
  const cell = new Histogram('a="1"', [1, 10, 100]);
  for (const value of [0, 1, 1.5, 10, 100, 101]) cell.observe(value);
  assert.equal(
    cell.text('h'),
    'h_bucket{a="1",le="1"} 2\nh_bucket{a="1",le="10"} 4\nh_bucket{a="1",le="100"} 5\nh_bucket{a="1",le="+Inf"} 6\nh_sum{a="1"} 213.5\nh_count{a="1"} 6\n',
  );
  assert.deepEqual(
    LATENCY_BUCKETS,
    [...LATENCY_BUCKETS].sort((a, b) => a - b),
  );
});

test('the same labels give the same cell', () => {
  const family = new Registry().counter('c', 'help');
  assert.equal(family.cell({ a: '1' }), family.cell({ a: '1' }));
  assert.notEqual(family.cell({ a: '1' }), family.cell({ a: '2' }));
});

test('idle series leave, a held cell comes back with its value, a gauge that stands stays', () => {
  const registry = new Registry();
  const family = registry.counter('c', 'help');
  const gauge = registry.gauge('g', 'help');
  const idle = family.cell({ of: 'idle' });
  idle.add(5);
  gauge.cell().set(1);
  registry.sweep(1, 100);
  registry.sweep(50, 100);
  assert.equal(family.size, 1);
  registry.sweep(101, 100);
  assert.equal(family.size, 0);
  assert.equal(gauge.size, 1);
  idle.add();
  registry.sweep(102, 100);
  assert.deepEqual([...family.cells()], [idle]);
  assert.equal(idle.value, 6);
});

test('the number of series has an end: what comes after is counted in one overflow series', () => {
  const family = new Registry().counter('c', 'help');
  for (let i = 0; i < MAX_SERIES + 10; i++) family.cell({ i: String(i) }).add();
  assert.equal(family.size, MAX_SERIES + 1);
  assert.equal(family.cell({ overflow: 'true' }).value, 10);
});

test('a name is registered once', () => {
  const registry = new Registry();
  registry.counter('c', 'help');
  assert.throws(() => registry.gauge('c', 'help'), /c is registered twice/);
});

test('an exposition lets the event loop turn between slices', async () => {
  const registry = new Registry();
  const family = registry.counter('c', 'help');
  const label = 'as long as real ones '.repeat(10);
  for (let i = 0; i < 500; i++) family.cell({ i: String(i), label }).add();
  let turns = 0;
  const timer = setImmediate(function count() {
    turns++;
    if (turns < 1_000) setImmediate(count);
  });
  const text = await textOf(registry);
  clearImmediate(timer);
  assert.equal(text.split('\n').length, 500 + 3);
  assert.ok(turns >= 5, `${turns} turns`);
});
