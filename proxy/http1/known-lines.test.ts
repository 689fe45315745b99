import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Head } from '../message/head.ts';
import { Framing } from './framing.ts';
import { parseRequest, parseResponse } from './head-parser.ts';
import { knownLine } from './known-lines.ts';

const FIRST = 'HTTP/1.1 200 OK\r\n';

function read(...lines: string[]): Head | undefined {
  const head = new Head();
  const bytes = Buffer.from(`${FIRST}${lines.map((line) => `${line}\r\n`).join('')}\r\n`, 'latin1');
  return parseResponse(bytes, 0, bytes.length, head, new Framing()) === undefined ? head : undefined;
}

/** A line is remembered when it came twice. */
function teach(line: string): void {
  read(line);
  read(line);
}

function isKnown(text: string): boolean {
  const bytes = Buffer.from(text, 'latin1');
  return knownLine(bytes, 0, bytes.length, -1) !== undefined;
}

function fieldsOf(head: Head | undefined): [string, string][] | undefined {
  if (head === undefined) return undefined;
  return Array.from({ length: head.count }, (_, i) => [
    head.nameBuffer[i]?.toString('latin1', head.nameStart[i], head.nameEnd[i]) ?? '',
    head.value(i),
  ]);
}

test('a line is known from its second coming on', () => {
  read('x-first: once');
  assert.equal(isKnown('x-first: once\r\n'), false);
  read('x-first: once');
  assert.equal(isKnown('x-first: once\r\n'), true);
});

test('a line keeps no memory but its own', () => {
  teach('x-owner: me');
  const bytes = Buffer.from('x-owner: me\r\n');
  const { buffer } = knownLine(bytes, 0, bytes.length, -1)?.field ?? assert.fail('it is not known');
  assert.equal(buffer.toString('latin1'), 'x-ownerme');
  assert.equal(buffer.buffer.byteLength, buffer.length);
});

test('what frames a message, what its connection keeps and credentials are never known', () => {
  const lines = [
    'content-length: 0',
    'connection: close',
    'connection: keep-alive, x-listed',
    'connection: upgrade',
    'keep-alive: timeout=5',
    'cookie: a=b',
    'Authorization: Bearer abc',
    'Set-Cookie: a=b',
  ];
  for (const line of lines) {
    teach(line);
    read(line);
    assert.equal(isKnown(`${line}\r\n`), false, line);
  }
});

test('a connection that stays, and the host, are known, and mean what they meant the first time', () => {
  const request = (version: string, ...lines: string[]): Head | undefined => {
    const head = new Head();
    const bytes = Buffer.from(`GET / HTTP/${version}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`);
    return parseRequest(bytes, 0, bytes.length, head, new Framing()) === undefined ? head : undefined;
  };
  const [host, stays] = ['Host: app.test:80', 'Connection: Keep-Alive'];
  for (let i = 0; i < 3; i++) {
    const head = request('1.0', host, stays, 'x-other: 1') ?? assert.fail('it is refused');
    const { buffer, start, end } = head.authority;
    assert.equal(buffer.toString('latin1', start, end), 'app.test:80');
    assert.equal(head.close, false);
    assert.deepEqual(fieldsOf(head), [['x-other', '1']]);
    assert.equal(request('1.0', host)?.close, true);
    assert.equal(request('1.1', stays), undefined, 'no host');
    assert.equal(request('1.1', host, host), undefined, 'two hosts');
  }
  for (const line of [host, stays]) assert.equal(isKnown(`${line}\r\n`), true, line);
});

test('a line that lacks its end, or ends in another way, is not the known one', () => {
  teach('x-end: value');
  for (const text of [
    'x-end: value\r',
    'x-end: value',
    'x-end: value\n',
    'x-end: value\r\r\n',
    'x-end: value \r\n',
  ])
    assert.equal(isKnown(text), false, JSON.stringify(text));
});

test('nothing but the same bytes is the known line', () => {
  const name = fc.stringMatching(/^[A-Za-z][A-Za-z-]{0,14}$/);
  const value = fc.stringMatching(/^[!-~]([ -~]{0,30}[!-~])?$/);
  const change = fc.record({
    at: fc.nat(60),
    byte: fc.nat(255),
    kind: fc.constantFrom('set', 'insert', 'remove'),
  });
  fc.assert(
    fc.property(name, value, change, (n, v, { at, byte, kind }) => {
      const line = `${n}: ${v}\r\n`;
      teach(line.slice(0, -2));
      const bytes = [...Buffer.from(line, 'latin1')];
      const place = at % bytes.length;
      if (kind === 'set') bytes[place] = byte;
      else if (kind === 'insert') bytes.splice(place, 0, byte);
      else bytes.splice(place, 1);
      const changed = Buffer.from(bytes).toString('latin1');
      if (!changed.startsWith(line)) assert.equal(isKnown(changed), false, JSON.stringify(changed));
    }),
  );
});

test('heads read the same, however often their lines came', () => {
  const line = fc.constantFrom(
    'server: a',
    'server: b',
    'Server: a',
    'server:a',
    'server:  a',
    'server: a\t',
    'x-empty: ',
    'x-empty:',
    'vary: accept',
    'content-type: text/plain',
    'connection: x-listed',
    'x-listed: gone',
    'x-bad name: 1',
    'x-bad: \u0001',
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
      const listed = lines.includes('connection: x-listed');
      const expected = lines.some((text) => text.startsWith('x-bad'))
        ? undefined
        : lines
            .map((text) => [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1).trim()])
            .filter(([n]) => n !== 'connection' && !(listed && n === 'x-listed'));
      for (let i = 0; i < 3; i++) assert.deepEqual(fieldsOf(read(...lines)), expected);
    }),
  );
});

test('lines that change between others are read as they come', () => {
  const heads = fc.array(
    fc.record({ id: fc.nat(3), type: fc.constantFrom('text/plain', 'text/html'), vary: fc.boolean() }),
    { minLength: 4, maxLength: 12 },
  );
  fc.assert(
    fc.property(heads, (list) => {
      for (const { id, type, vary } of list) {
        const lines: [string, string][] = [
          ['server', 'a server'],
          ['x-request-id', `number-${id}`],
          ['content-type', type],
          ...(vary ? [['vary', 'accept'] satisfies [string, string]] : []),
          ['accept-ranges', 'bytes'],
        ];
        assert.deepEqual(fieldsOf(read(...lines.map(([n, v]) => `${n}: ${v}`))), lines);
      }
    }),
  );
});

test('however many lines come, those of one head are known again soon', () => {
  for (let i = 0; i < 5_000; i++) teach(`x-number: ${i}`);
  const usual = Array.from({ length: 20 }, (_, i) => `x-usual-${i}: value ${i}`);
  for (let i = 0; i < 4; i++) read(...usual);
  const known = usual.filter((line) => isKnown(`${line}\r\n`));
  // Three of them may meet in one pair of slots.
  assert.ok(known.length >= 16, `${known.length} of ${usual.length}`);
});
