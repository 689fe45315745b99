import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import type { Output } from '../output.ts';
import type { Hop } from './hops.ts';
import { frameLines, LiveView } from './live-view.ts';
import type { Sight } from './traffic.ts';

const spiffe = (cluster: string, ns: string, sa: string): string =>
  `spiffe://cluster.local/cluster/${cluster}/ns/${ns}/sa/${sa}`;

function hop(cluster: string, workload: string, direction: Hop['direction'], peer: string): Hop {
  return { cluster, workload, direction, peer, requestsPerSecond: 12345, successRate: 1, p50: 7, p99: 1234 };
}

const sight: Sight = {
  stats: {
    requests: 123_456,
    failures: 0,
    byCluster: { west: 123_456 },
    clientIdentity: spiffe('east', 'demo', 'client'),
    firstAnswerAt: 0,
    lastError: null,
    latencyMs: { p50: 1.23, p99: 23.4 },
  },
  hops: [
    hop('west', 'web', 'inbound', spiffe('east', 'demo', 'client')),
    hop('east', 'client', 'outbound', spiffe('west', 'isthmus', 'isthmus-gateway')),
    hop('west', 'isthmus-gateway', 'outbound', spiffe('west', 'demo', 'web')),
  ],
  pssMiB: 800,
};

function screen(interactive: boolean): Output & { text: string } {
  return {
    text: '',
    interactive,
    out: () => assert.fail('the view is no result'),
    err(text: string) {
      this.text += text;
    },
  };
}

test('a frame fits on the smallest usual terminal, with its numbers under their heads', () => {
  const lines = frameLines(sight, 400).map((line) => stripVTControlCharacters(line));
  assert.ok(lines.length <= 16);
  for (const line of lines) assert.ok(line.length < 80, `${line.length}: ${line}`);
  const head = lines.find((line) => line.startsWith('PROXY OF')) ?? '';
  const row = lines.find((line) => line.startsWith('  client')) ?? '';
  assert.equal(row.length, head.length);
  assert.equal(row.indexOf('isthmus-gateway.isthmus @ west'), head.indexOf('PEER'));
});

test('hops stand below their cluster', () => {
  const lines = frameLines(sight, 400).map((line) => stripVTControlCharacters(line).trimEnd());
  const at = (start: string): number => lines.findIndex((line) => line.startsWith(start));
  assert.ok(at('east') < at('  client') && at('  client') < lines.indexOf('west'));
  assert.ok(lines.indexOf('west') < at('  isthmus-gateway') && at('  isthmus-gateway') < at('  web'));
});

test('a second frame takes the place of the first, lines that would wrap are cut, and the cursor comes back', () => {
  const output = screen(true);
  const view = new LiveView(output, () => 40);
  view.show(sight, 0);
  output.text = '';
  view.show(sight, 1000);
  const lines = frameLines(sight, 0).length;
  assert.ok(output.text.startsWith(`\u001b[${lines}F\u001b[J`));
  for (const line of stripVTControlCharacters(output.text).split('\n')) assert.ok(line.length < 40);
  view.close();
  assert.ok(output.text.endsWith('\u001b[?25h\n'));
});

test('without a terminal each sight is one plain line with its rate', () => {
  const output = screen(false);
  const view = new LiveView(output);
  view.show(sight, 0);
  view.show({ ...sight, stats: { ...sight.stats, requests: 123_956 } }, 1000);
  view.close();
  const lines = output.text.trimEnd().split('\n');
  assert.equal(lines.length, 2);
  assert.match(lines[1] ?? '', /^123956 requests {3}500\/s {3}0 failed/);
  assert.equal(stripVTControlCharacters(output.text), output.text);
});
