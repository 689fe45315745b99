import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { slice } from './testing/fixture.ts';
import { webClients } from './testing/web-clients.ts';

test('a client that does not read keeps nothing of what others are told meanwhile', async () => {
  const { state, on, flush } = webClients([{ ip: '10.1.0.1' }]);
  const [reader, stalled] = [on('n1'), on('n1')];
  const change = (i: number): void => {
    state.setSlice('shop/web-1', slice('web', [{ ip: `10.1.0.${i}` }]));
    flush();
  };
  stalled.stream.reading = false;
  change(2);
  for (const { told } of [reader, stalled]) told();
  const meanwhile = [3, 4, 5].flatMap((i) => {
    change(i);
    return reader.stream.take().map((message) => new WeakRef(message));
  });
  assert.equal(meanwhile.length, 6);
  // What has been looked at through a WeakRef stays until the turn is over.
  await setImmediate();
  collector()();
  assert.deepEqual(
    meanwhile.map((message) => message.deref()),
    meanwhile.map(() => undefined),
  );
  stalled.stream.drain();
  assert.deepEqual(stalled.told(), ['+10.1.0.5 unknown', '-10.1.0.2']);
});

/** V8 shows its collector to contexts that are made behind the flag. */
function collector(): NodeJS.GCFunction {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as NodeJS.GCFunction;
}
