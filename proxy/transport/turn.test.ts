import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { setImmediate as endOfTurn } from 'node:timers/promises';
import { beginCallback, endCallback, flushEager, flushLate, type Flushable } from './turn.ts';

class Output implements Flushable {
  scheduled = false;
  bulky = false;
  flushes = 0;

  flush(): void {
    this.flushes++;
  }
}

function inCallback(work: () => void): void {
  beginCallback();
  work();
  endCallback();
}

test('small output of a turn that read something waits for one more turn, and all leaves at once', async () => {
  const output = new Output();
  inCallback(() => flushLate(output));
  await endOfTurn();
  assert.equal(output.flushes, 0);
  inCallback(() => flushLate(output));
  await endOfTurn();
  assert.equal(output.flushes, 1);
  assert.equal(output.scheduled, false);
});

test('a fault of one output keeps no other from leaving', async () => {
  const [late, faulty, after] = [new Output(), new Output(), new Output()];
  faulty.flush = () => {
    throw new Error('a fault');
  };
  assert.throws(() => {
    inCallback(() => {
      flushLate(late);
      flushEager(faulty);
      flushEager(after);
    });
  }, /a fault/);
  assert.equal(after.flushes, 1);
  await endOfTurn();
  await endOfTurn();
  assert.equal(late.flushes, 1);
});

test('it waits no longer, whatever comes: what is written then waits by itself', async () => {
  const [first, second] = [new Output(), new Output()];
  inCallback(() => flushLate(first));
  await endOfTurn();
  inCallback(() => flushLate(second));
  await endOfTurn();
  assert.deepEqual([first.flushes, second.flushes], [1, 1]);
  inCallback(() => flushLate(second));
  await endOfTurn();
  assert.equal(second.flushes, 1);
  await endOfTurn();
  assert.equal(second.flushes, 2);
});

test('bulk leaves at the end of its turn, also beside small output that waits', async () => {
  const [bulk, small] = [new Output(), new Output()];
  bulk.bulky = true;
  inCallback(() => {
    flushLate(small);
    flushEager(bulk);
  });
  await endOfTurn();
  assert.deepEqual([bulk.flushes, small.flushes], [1, 0]);
  await endOfTurn();
  assert.deepEqual([bulk.flushes, small.flushes], [1, 1]);
});

test('output of a turn that read nothing does not wait', async () => {
  const output = new Output();
  flushLate(output);
  await endOfTurn();
  assert.equal(output.flushes, 1);
});

test('what is written while output leaves, leaves later', async () => {
  const [again, other] = [new Output(), new Output()];
  again.flush = () => {
    if (again.flushes++ === 0) flushLate(other);
  };
  flushLate(again);
  await endOfTurn();
  assert.deepEqual([again.flushes, other.flushes], [1, 0]);
  await endOfTurn();
  assert.equal(other.flushes, 1);
});

test('eager output leaves with the callback', () => {
  const output = new Output();
  inCallback(() => {
    flushEager(output);
    assert.equal(output.flushes, 0);
  });
  assert.equal(output.flushes, 1);
});

/** Its turns, long enough for the compilers to have seen them, then a collection in a quiet moment: V8 prints which code it gives up by that, and why. */
const QUIET_COLLECTION = `
  import { flushLate } from ${JSON.stringify(new URL('turn.ts', import.meta.url))};
  let turns = 0;
  const over = Promise.withResolvers();
  const output = { scheduled: false, bulky: false, flush: () => (turns++ < 200_000 ? flushLate(output) : over.resolve()) };
  flushLate(output);
  await over.promise;
  await new Promise((resolve) => setTimeout(resolve, 1));
  gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  process.stdout.write('collected\\n');
`;

test('a collection between two turns gives up nothing that was compiled for them', () => {
  const flags = ['--expose-gc', '--trace-deopt', '--input-type=module', '--eval', QUIET_COLLECTION];
  const printed = execFileSync(process.execPath, flags, { encoding: 'utf8' });
  assert.match(printed, /^collected$/m);
  assert.doesNotMatch(printed, /SharedFunctionInfo \w*[iI]mmediate>.*weak objects cleared/);
});
