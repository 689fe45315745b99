import assert from 'node:assert/strict';
import type { FakeTransport } from '../../proxy/testing/fake-transport.ts';
import { isMessage, readResponse, type ReferenceMessage } from '../testing/http1-reference.ts';
import type { ResponseObserver } from './response-observer.ts';

/** Fields by which HTTP/1.1 frames a message. */
const OWN = /^(?:content-length|transfer-encoding|connection): /;

/** What the client got is exactly the answer that passed the layers, or visibly not all of it. `isHead`: it asked for the head alone. */
export function assertOneResponse(observer: ResponseObserver, client: FakeTransport, isHead: boolean): void {
  let rest = client.text();
  const { final } = observer;
  for (const head of observer.heads) {
    if (head === final) break;
    const read = message(rest, false);
    assert.match(read.startLine, new RegExp(`^HTTP/1.1 ${head.status} `));
    ({ rest } = read);
  }
  if (final === undefined) return assertNoAnswer(observer, rest);
  const read = readResponse(rest, isHead);
  if (observer.end !== 'whole') {
    // A tunnel, or a body that the end of the connection ends: only how the connection ends tells.
    const cut = read === 'incomplete' || client.destroyed || observer.end === 'open';
    assert.ok(cut, `half an answer is whole for the client: ${JSON.stringify(rest)}`);
    return;
  }
  const whole = message(rest, isHead);
  assert.match(whole.startLine, new RegExp(`^HTTP/1.1 ${final.status} `));
  assert.deepEqual(
    whole.fields.map(([name, value]) => `${name}: ${value}`).filter((field) => !OWN.test(field)),
    final.fields.filter((field) => !OWN.test(field)),
  );
  if (final.status === 101) assert.equal(whole.rest, observer.body);
  else {
    assert.equal(whole.rest, '', 'the client reads a second answer');
    assert.equal(whole.body, observer.body);
  }
}

function assertNoAnswer(observer: ResponseObserver, text: string): void {
  if (observer.end === 'open') assert.equal(text, '');
  else assert.match(message(text, false).startLine, /^HTTP\/1.1 50[0-9] /);
}

function message(text: string, isHead: boolean): ReferenceMessage {
  const read = readResponse(text, isHead);
  assert.ok(isMessage(read), `the client cannot read ${JSON.stringify(text)}: ${JSON.stringify(read)}`);
  return read;
}
