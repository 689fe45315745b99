import assert from 'node:assert/strict';
import { isMessage, readRequest } from '../testing/http1-reference.ts';
import type { Relayed } from './relay.ts';

/** What HTTP/1.1 says in its own way, or does not say: how a message is framed, its host, what travels between proxies. */
const OWN = /^(?::.*|host|content-length|transfer-encoding|connection|cookie|te): /;

/**
 * What the app got of a request is exactly that request: a second parser reads one message with the same meaning, and nothing behind it. What broke off is not
 * whole for it either, so that nobody acts on half a request.
 */
export function assertOneRequest(one: Relayed): void {
  const read = readRequest(one.forwarded);
  if (!isMessage(read)) {
    const isPart = read === 'incomplete' && one.end !== 'whole';
    assert.ok(isPart, `the app cannot read ${JSON.stringify(one.forwarded)}: ${JSON.stringify(read)}`);
    return;
  }
  assert.equal(read.startLine, `${one.method} ${one.path || '/'} HTTP/1.1`);
  assert.deepEqual(
    read.fields.filter(([name]) => name === 'host'),
    [['host', one.authority]],
  );
  assert.deepEqual(
    read.fields.map(([name, value]) => `${name}: ${value}`).filter((field) => !OWN.test(field)),
    one.fields.filter((field) => !OWN.test(field)),
  );
  if (one.tunnel) {
    assert.equal(read.body, '');
    assert.equal(read.rest, one.body);
    return;
  }
  assert.equal(read.rest, '', 'the app reads a second message');
  assert.equal(read.body, one.body);
  const trailers = read.trailers.map(([name, value]) => `${name}: ${value}`);
  // A body of a declared length has no place for them. And it is whole with its last byte, though the client may yet give the request up.
  if (!read.fields.some(([name]) => name === 'transfer-encoding')) return;
  assert.deepEqual(trailers, one.trailers);
  assert.notEqual(
    one.end,
    'reset',
    `what was given up is whole for the app: ${JSON.stringify(one.forwarded)}`,
  );
}
