import assert from 'node:assert/strict';
import { isMessage, readRequest } from '../testing/http1-reference.ts';
import type { Relayed } from './relay.ts';

/** What HTTP/1.1 says in its own way, or does not say: how a message is framed, its host, what travels between proxies. */
const OWN = /^(?::.*|host|content-length|transfer-encoding|connection|te): /;

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
  assertFields(read.fields, one.fields);
  if (one.tunnel) {
    assert.equal(read.body, '');
    assert.equal(read.rest, one.body);
    return;
  }
  assert.equal(read.rest, '', 'the app reads a second message');
  assert.equal(read.body, one.body);
  // A body of a declared length has no place for them. And it is whole with its last byte, though the client may yet give the request up.
  if (!read.fields.some(([name]) => name === 'transfer-encoding')) return;
  assertFields(read.trailers, one.trailers);
  assert.notEqual(
    one.end,
    'reset',
    `what was given up is whole for the app: ${JSON.stringify(one.forwarded)}`,
  );
}

/** The same fields in the same order; cookies, however many lines they came in, are one field anywhere among them (RFC 9113 section 8.2.3). */
function assertFields(read: readonly (readonly [string, string])[], sent: readonly string[]): void {
  const got = read.map(([name, value]) => `${name}: ${value}`).filter((field) => !OWN.test(field));
  const wanted = sent.filter((field) => !OWN.test(field));
  assert.deepEqual(withoutCookies(got), withoutCookies(wanted));
  const cookies = cookiesOf(wanted);
  assert.deepEqual(
    cookiesOf(got),
    cookies.length === 0 ? [] : [cookies.join('; ').replaceAll(/^[ \t]+|[ \t]+$/g, '')],
  );
}

const COOKIE = 'cookie: ';

function withoutCookies(fields: readonly string[]): string[] {
  return fields.filter((field) => !field.startsWith(COOKIE));
}

function cookiesOf(fields: readonly string[]): string[] {
  return fields.filter((field) => field.startsWith(COOKIE)).map((field) => field.slice(COOKIE.length));
}
