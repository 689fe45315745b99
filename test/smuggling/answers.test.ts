import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startWirePair, type WirePair } from '../../proxy/testing/mesh/wire-pair.ts';
import type { Wire } from '../../proxy/testing/mesh/wire.ts';
import { isMessage, readResponse, type ReferenceMessage } from '../testing/http1-reference.ts';
import { ANSWER_CASES } from './answer-cases.ts';

const END = '\r\n\r\n';

/** Attacks of an app on who is answered with what, through both sidecars to a client that reads bytes. */
describe('smuggling by answers', () => {
  let pair: WirePair;
  let name = '';
  let next: Pick<(typeof ANSWER_CASES)[number], 'answers' | 'closes'> = { answers: '' };

  before(async () => {
    pair = await startWirePair();
    name = await pair.service('answers', async (app) => {
      for (;;) {
        const request = await app.until(END);
        if (request.startsWith('GET /honest '))
          app.socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhonest`);
        else {
          app.socket.write(next.answers, 'latin1');
          if (next.closes) app.socket.end();
        }
      }
    });
  });
  after(() => pair.mesh.close());

  const request = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: ${name}\r\n${more}\r\n`;

  /** All that comes, whatever the connection ends by. */
  async function toTheEnd(wire: Wire): Promise<string> {
    let text = '';
    wire.socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    await wire.rest().catch(() => '');
    return text;
  }

  function message(text: string): ReferenceMessage {
    const read = readResponse(text);
    assert.ok(isMessage(read), JSON.stringify(text));
    return read;
  }

  for (const { what, answers, closes, becomes } of ANSWER_CASES)
    test(`${what}: ${typeof becomes === 'string' ? becomes : becomes.status}`, async () => {
      next = closes ? { answers, closes } : { answers };
      const wire = await pair.dial();
      wire.socket.end(request('/evil') + request('/honest', 'Connection: close\r\n'));
      const text = await toTheEnd(wire);
      if (becomes === 'cut') {
        assert.match(text, /^HTTP\/1\.1 200 /);
        assert.equal(readResponse(text), 'incomplete', JSON.stringify(text));
      } else {
        const expected = becomes === 'refused' ? { status: 502, body: undefined } : becomes;
        const first = message(text);
        assert.match(first.startLine, new RegExp(`^HTTP/1.1 ${expected.status} `));
        if (expected.body !== undefined) assert.equal(first.body, expected.body);
        else assert.doesNotMatch(first.body, /hello|hidden/);
        const second = message(first.rest);
        assert.deepEqual([second.body, second.rest], ['honest', '']);
      }
      // Nobody else gets what was left over either.
      const other = await pair.dial();
      other.socket.end(request('/honest', 'Connection: close\r\n'));
      assert.equal(message(await toTheEnd(other)).body, 'honest');
    });
});
