import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { jsonLog, LowestLevel } from './json-log.ts';

type Line = Record<string, unknown>;

const NUMBERS = { debug: 20, info: 30, warn: 40, error: 50, fatal: 60 } as const;
const METHODS = Object.keys(NUMBERS) as (keyof typeof NUMBERS)[];

/** What a log of that level writes of one call of each method. */
function lines(level: string, fields: object, message: string): Line[] {
  const all: Line[] = [];
  const log = jsonLog({ name: 'proxy' }, new LowestLevel(level), (line) => {
    assert.ok(line.endsWith('}\n') && line.indexOf('\n') === line.length - 1, line);
    all.push(JSON.parse(line) as Line);
  });
  for (const method of METHODS) log[method](fields, message);
  return all;
}

test('lines are those of pino: its numbers of levels, its names, in its order', () => {
  const fields = { peer: 'größe "\n', absent: undefined, inner: { list: [1, true, null] } };
  for (const line of lines('trace', fields, 'a "line"\n')) {
    assert.equal(Object.keys(line).join(), 'level,time,pid,hostname,name,peer,inner,msg');
    const { level: _, time: __, ...rest } = line;
    assert.deepEqual(rest, {
      pid: process.pid,
      hostname: hostname(),
      name: 'proxy',
      peer: fields.peer,
      inner: fields.inner,
      msg: 'a "line"\n',
    });
  }
  assert.deepEqual(Object.keys(lines('error', {}, '')[0] ?? {}).at(-1), 'msg');
});

test('what is below the level is not written; a level that is not known is info', () => {
  const written = (level: string): unknown[] => lines(level, {}, '').map((line) => line['level']);
  assert.deepEqual(written('trace'), [20, 30, 40, 50, 60]);
  for (const [at, method] of METHODS.entries()) {
    assert.deepEqual(written(method), Object.values(NUMBERS).slice(at), method);
  }
  assert.deepEqual(written('silent'), []);
  assert.deepEqual(written('loud'), written('info'));
});

test('another level counts from the next line on; what is no level changes nothing', () => {
  const level = new LowestLevel('warn');
  const written: Line[] = [];
  const log = jsonLog({}, level, (line) => written.push(JSON.parse(line) as Line));
  log.info({}, 'before');
  assert.ok(level.set('info'));
  log.info({}, 'after');
  assert.equal(level.set('loud'), false);
  assert.equal(level.name, 'info');
  log.debug({}, 'below');
  assert.deepEqual(
    written.map(({ msg }) => msg),
    ['after'],
  );
});

test('an error among the fields is told with its stack', () => {
  class BrokenError extends Error {}
  const err = new BrokenError('it broke');
  const [line] = lines('fatal', { err, within: [new Error('deep')] }, 'told');
  assert.deepEqual(line?.['err'], { type: 'BrokenError', message: 'it broke', stack: err.stack });
  assert.match(JSON.stringify(line?.['within']), /"message":"deep"/);
});

test('fields that cannot be written do not keep the message, nor fail who logs', () => {
  let line: Line = {};
  const circle: { own?: object } = {};
  circle.own = circle;
  jsonLog({ name: 'proxy' }, new LowestLevel('info'), (text) => (line = JSON.parse(text) as Line)).info(
    circle,
    'told',
  );
  assert.equal(line['msg'], 'told');
  assert.match(String(line['unwritable']), /circular/i);
});

test('time is now, and a large number is a text', () => {
  let line: Line = {};
  const before = Date.now();
  jsonLog({ name: 'proxy' }, new LowestLevel('info'), (text) => (line = JSON.parse(text) as Line)).info(
    { sequence: 2n ** 60n },
    'told',
  );
  assert.ok(Number(line['time']) >= before && Number(line['time']) <= Date.now());
  assert.equal(line['sequence'], '1152921504606846976');
});
