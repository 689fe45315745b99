import assert from 'node:assert/strict';
import { test } from 'node:test';
import { median } from './measure.ts';
import { Report, type Result } from './report.ts';

const RESULT: Result = {
  unit: 'µs',
  values: new Map([
    ['isthmus', 60],
    ['nginx', 120],
    ['haproxy', 100],
    ['haproxy-h2', 50],
  ]),
  goals: [
    { key: 'c32', against: ['haproxy', 'nginx'], most: 0.6 },
    { key: 'c32-h2', against: ['haproxy-h2'], most: 1 },
  ],
};

function reported(result: Result): { lines: string[]; json: unknown } {
  const lines: string[] = [];
  const report = new Report((line) => lines.push(line));
  report.add('100 B', result);
  return { lines, json: JSON.parse(report.json()) };
}

test('a goal is held to the cheapest of those that it names, and met at its limit', () => {
  const { lines, json } = reported(RESULT);
  assert.deepEqual(json, {
    c32: { ours: 60, haproxy: 100, nginx: 120, ratio: 0.6, goal: 0.6 },
    'c32-h2': { ours: 60, haproxy: 50, nginx: 120, ratio: 1.2, goal: 1 },
  });
  assert.match(lines[0] ?? '', /^100 B +isthmus 60\.0 µs {3}nginx 120\.0 µs \(0\.50\)/);
  assert.match(lines[1] ?? '', /0\.6, met$/);
  assert.match(lines[2] ?? '', /1\.2, missed$/);
});

test('a goal against one that was not measured is not judged', () => {
  const { json } = reported({ ...RESULT, values: new Map([['isthmus', 60]]) });
  assert.deepEqual(json, {});
});

test('a goal against nobody is one of ours alone', () => {
  const goals = [{ key: 'start', against: [], most: 150 }];
  const { json } = reported({ unit: 'ms', values: new Map([['isthmus', 151.2346]]), goals });
  assert.deepEqual(json, { start: { ours: 151.235, ratio: 151.235, goal: 150 } });
});

test('the median is a value that was seen: of an even count the lower one', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2);
});
