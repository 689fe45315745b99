import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Verdict } from './case.ts';
import { CASES } from './cases.ts';
import { type Heard, serve } from './serve.ts';

const PROTOCOL_ERROR = 1;

function check(verdict: Verdict, { said, transport, routed }: Heard): void {
  const goaways = said.filter((one) => one.kind === 'goaway' && one.code !== 0);
  const answered = said.flatMap((one) => (one.kind === 'headers' ? [one] : []));
  if (verdict === 'closed') {
    assert.equal(transport.destroyed, true);
    return;
  }
  if (typeof verdict === 'object' && 'goaway' in verdict) {
    assert.deepEqual(
      goaways.map(({ kind, ...rest }) => (kind === 'goaway' && 'code' in rest ? rest.code : 0)),
      [verdict.goaway],
    );
    assert.equal(transport.ended, true);
    return;
  }
  assert.deepEqual(goaways, []);
  if (verdict === 'ignored') return;
  if ('reset' in verdict) {
    const resets = said.flatMap((one) => (one.kind === 'reset' ? [{ reset: one.code, stream: one.id }] : []));
    assert.deepEqual(resets, [verdict]);
  } else if ('refused' in verdict) {
    assert.deepEqual(
      answered.map(({ id, fields }) => [id, fields[0]]),
      [[verdict.refused, ':status: 400']],
    );
    // Malformed is a stream error, whatever it is answered with (section 8.1.1).
    assert.deepEqual(
      said.flatMap((one) => (one.kind === 'reset' ? [[one.id, one.code]] : [])),
      [[verdict.refused, PROTOCOL_ERROR]],
    );
    assert.equal(routed, 0);
  } else {
    assert.deepEqual(
      answered.map(({ id, fields }) => [id, fields[0]]),
      verdict.answered.map((id) => [id, ':status: 204']),
    );
  }
}

/** Sections that speak of what an endpoint must do with what it is sent. */
const SECTIONS = new Set(CASES.map(({ section }) => section));

for (const section of SECTIONS) {
  describe(`RFC ${section.startsWith('HPACK') ? section.replace('HPACK', '7541') : `9113 ${section}`}`, () => {
    for (const one of CASES.filter((each) => each.section === section))
      test(`${one.what}: ${JSON.stringify(one.verdict)}`, () => check(one.verdict, serve(one)));
  });
}
