import assert from 'node:assert/strict';
import { test } from 'node:test';
import { processMemory, spareMemoryLook } from './spare-memory.ts';

const MIB = 1024 * 1024;

test('what has grown by 8 MiB since the last time gives pages back', () => {
  let resident = 90;
  let given = 0;
  const look = spareMemoryLook({
    resident: () => resident * MIB,
    giveBack: () => {
      given++;
      resident -= 5;
    },
  });
  look();
  assert.deepEqual([given, resident], [1, 85]);
  resident = 92;
  look();
  assert.equal(given, 1, 'small change stays');
  resident = 93;
  look();
  assert.deepEqual([given, resident], [2, 88]);
  look();
  assert.equal(given, 2, 'what cannot be given back is not tried again');
  resident = 70;
  look();
  resident = 78;
  look();
  assert.equal(given, 3, 'counted from the least');
});

test('the C library of this process takes the call', async (t) => {
  const memory = await processMemory();
  if (memory === undefined) return t.skip('no glibc, or no koffi');
  memory.giveBack();
  assert.ok(memory.resident() > 0);
});
