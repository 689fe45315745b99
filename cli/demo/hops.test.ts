import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HopRates, shortIdentity } from './hops.ts';
import { parseSamples } from './prometheus-text.ts';

const SERVER = 'spiffe://cluster.local/cluster/west/ns/isthmus/sa/isthmus-gateway';

function proxy(success: number, failure: number) {
  const labels = `direction="outbound",server_id="${SERVER}"`;
  const text =
    `response_total{${labels},classification="success"} ${success}\n` +
    `response_total{${labels},classification="failure"} ${failure}\n` +
    `response_latency_ms_bucket{${labels},le="10"} ${success + failure}\n` +
    `response_latency_ms_bucket{${labels},le="+Inf"} ${success + failure}\n`;
  return { cluster: 'east', workload: 'client', samples: parseSamples(text) };
}

test('rates are what came since the last look, pods of a workload together', () => {
  const rates = new HopRates();
  assert.deepEqual(rates.look([proxy(100, 0), proxy(50, 0)], 1000), []);
  const hops = rates.look([proxy(120, 5), proxy(65, 0)], 3000);
  assert.equal(hops.length, 1);
  assert.equal(hops[0]?.requestsPerSecond, 20);
  assert.equal(hops[0]?.successRate, 35 / 40);
  assert.equal(hops[0]?.p50, 5);
  assert.equal(shortIdentity(hops[0]?.peer), 'isthmus-gateway.isthmus @ west');
});

test('a hop without new requests is not shown', () => {
  const rates = new HopRates();
  rates.look([proxy(1, 0)], 1000);
  assert.deepEqual(rates.look([proxy(1, 0)], 2000), []);
});

test('identities read as people say them', () => {
  assert.equal(shortIdentity('web.demo.serviceaccount.identity.isthmus.cluster.local'), 'web.demo');
  assert.equal(shortIdentity(undefined), '-');
});
