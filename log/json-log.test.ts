import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { jsonLog } from './json-log.ts';

type Line = Record<string, unknown>;

function lines(level: string): { ours: Line[]; pinos: Line[] } {
  const [ours, pinos]: [Line[], Line[]] = [[], []];
  const into = (all: Line[]) => (line: string) => {
    assert.ok(line.endsWith('}\n') && line.indexOf('\n') === line.length - 1, line);
    all.push({ ...(JSON.parse(line) as Line), time: 'any' });
  };
  const own = jsonLog({ name: 'proxy' }, level, into(ours));
  const other = pino({ name: 'proxy', level }, { write: into(pinos) });
  for (const log of [own, other]) {
    log.debug({ a: 1 }, 'small');
    log.info({}, 'nothing but a message');
    log.warn({ peer: 'größe "\n', absent: undefined, inner: { list: [1, true, null] } }, 'a "line"\n');
    log.error({ error: 'it broke' }, '');
  }
  return { ours, pinos };
}

test('lines say what those of pino say', () => {
  for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']) {
    const { ours, pinos } = lines(level);
    assert.deepEqual(ours, pinos, level);
  }
});

test('fields that cannot be written do not keep the message, nor fail who logs', () => {
  let line: Line = {};
  const circle: { own?: object } = {};
  circle.own = circle;
  jsonLog({ name: 'proxy' }, 'info', (text) => (line = JSON.parse(text) as Line)).info(circle, 'told');
  assert.equal(line['msg'], 'told');
  assert.match(String(line['unwritable']), /circular/i);
});

test('time is now, and a large number is a text', () => {
  let line: Line = {};
  const before = Date.now();
  jsonLog({ name: 'proxy' }, 'info', (text) => (line = JSON.parse(text) as Line)).info(
    { sequence: 2n ** 60n },
    'told',
  );
  assert.ok(Number(line['time']) >= before && Number(line['time']) <= Date.now());
  assert.equal(line['sequence'], '1152921504606846976');
});
