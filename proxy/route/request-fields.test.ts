import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { fieldIdOf } from '../message/field-names.ts';
import { Head } from '../message/head.ts';
import { defaultRoute } from './outbound-rules.ts';
import { formatGrpcTimeout, parseGrpcTimeout, takeRequestFields, toldTimeout } from './request-fields.ts';
import { RetryBudget } from './retry-budget.ts';

function headOf(fields: Record<string, string>): Head {
  const head = new Head();
  for (const [name, value] of Object.entries(fields)) {
    const [n, v] = [Buffer.from(name), Buffer.from(value)];
    head.add(fieldIdOf(n, 0, n.length), n, 0, n.length, v, 0, v.length);
  }
  return head;
}

test('grpc-timeout: every unit, and nothing else', () => {
  const texts = ['1H', '2M', '3S', '4m', '5000u', '6000000n', '', '1', 'm', '123456789m', '-1S', '1s'];
  assert.deepEqual(texts.map(parseGrpcTimeout), [3_600_000, 120_000, 3_000, 4, 5, 6, 0, 0, 0, 0, 0, 0]);
});

test('what is left is told as no more than it is', () => {
  fc.assert(
    fc.property(fc.double({ min: 1, max: 1e10, noNaN: true }), (ms) => {
      const told = parseGrpcTimeout(formatGrpcTimeout(ms));
      assert.ok(told > 0 && told <= ms);
    }),
  );
});

test('the shorter of two told times counts', () => {
  assert.equal(toldTimeout(headOf({ 'grpc-timeout': '2S', ':isthmus-timeout': '500' })), 500);
  assert.equal(toldTimeout(headOf({ 'grpc-timeout': '2S' })), 2_000);
  assert.equal(toldTimeout(headOf({ accept: '*/*' })), 0);
});

test('fields of ours are taken out, others of that prefix stay; they count where the route allows it', () => {
  const fields = {
    'l5d-timeout': '2s',
    'L5D-Retry-Http': '502-503',
    'l5d-retry-limit': '99',
    'l5d-other': 'x',
  };
  const route = defaultRoute();
  const head = headOf(fields);
  assert.equal(takeRequestFields(head, route), route);
  assert.equal(head.count, 1);
  const own = takeRequestFields(headOf(fields), { ...route, requestHeaders: true });
  assert.equal(own.timeouts.request, 2_000);
  assert.deepEqual(own.retry?.statuses, [[502, 503]]);
  assert.equal(own.retry.limit, 10, 'at most');
  assert.equal(own.budget, route.budget, 'the budget is the route’s');
});

test('the budget: a share of the requests of the window and the reserve, however they come', () => {
  const step = fc.record({ ms: fc.nat(400), requests: fc.nat(20), retries: fc.nat(30) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const budget = new RetryBudget({ ratio: 0.2, minPerSecond: 2, ttlMs: 1_000 });
      const taken: number[] = [];
      const asked: number[] = [];
      let now = 0;
      for (const { ms, requests, retries } of steps) {
        now += ms;
        for (let i = 0; i < requests; i++) {
          budget.deposit(now);
          asked.push(now);
        }
        for (let i = 0; i < retries; i++) if (budget.withdraw(now)) taken.push(now);
        // A slot of a tenth is forgotten at once.
        const recent = taken.filter((at) => at > now - 900).length;
        const paid = asked.filter((at) => at > now - 2_000).length;
        assert.ok(recent <= 2 + paid * 0.2, `${recent} retries of ${paid} requests`);
      }
    }),
  );
});
