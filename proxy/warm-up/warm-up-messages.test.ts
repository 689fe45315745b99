import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WarmUpAnswerEnd, warmUpAnswers, WarmUpRequestEnd, warmUpRequests } from './warm-up-messages.ts';

const requests = warmUpRequests('warm-up.isthmus:80');
const answers = warmUpAnswers();
/** Bytes of the last chunk, which comes in one read. */
const LAST = 5;

function headOf(message: Buffer): string {
  return message.toString('latin1', 0, message.indexOf('\r\n\r\n') + 4);
}

describe('messages of a warm-up', () => {
  test('a request is whole with its head, or with the last byte of its body', () => {
    for (const request of requests) {
      const end = new WarmUpRequestEnd();
      const head = headOf(request);
      for (let cut = head.length; cut < request.length; cut++) {
        assert.equal(end.read(request, 0, cut), false, head);
        assert.equal(end.read(request, cut, request.length), true, head);
      }
      assert.equal(end.read(request, 0, request.length), true, head);
    }
  });

  test('an answer is whole with its last byte, however it comes', () => {
    const end = new WarmUpAnswerEnd();
    for (const answer of answers) {
      for (let cut = 1; cut <= answer.length - LAST; cut++) {
        assert.equal(end.read(answer, 0, cut), false, headOf(answer));
        assert.equal(end.read(answer, cut, answer.length), true, headOf(answer));
      }
    }
  });

  test('no two are the same, but for requests that say next to nothing', () => {
    assert.equal(new Set(answers.map(String)).size, answers.length);
    const saying = requests.filter((request) => headOf(request).split('\r\n').length > 4).map(String);
    assert.equal(new Set(saying).size, saying.length);
    assert.ok(saying.length > requests.length / 2);
  });
});
