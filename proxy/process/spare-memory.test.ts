import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { cachedDataVersionTag } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { ownLockGraphPages } from './lock-graph.ts';
import { processMemory, SpareMemory } from './spare-memory.ts';
import { recycle, takeBuffer } from '../transport/buffers.ts';

const MIB = 1024 * 1024;

/** A process of which five MiB are spare each time that it gives back, and five more when it collects. */
function fakeProcess() {
  return {
    mib: 40,
    given: 0,
    cpu: 0,
    cpuMs() {
      return this.cpu;
    },
    told: 0,
    events() {
      return this.told;
    },
    anonymous() {
      return this.mib * MIB;
    },
    leaveFilePages() {},
    graphs: 0,
    releaseLockGraph() {
      this.graphs++;
    },
    release() {},
    collect() {
      this.mib -= 5;
    },
    collectEarlier() {},
    giveBack() {
      this.given++;
      this.mib -= 5;
    },
  };
}

test('what has grown by a MiB since the last time gives pages back', () => {
  const memory = fakeProcess();
  const spare = new SpareMemory(memory);
  spare.look();
  assert.deepEqual([memory.given, memory.mib], [1, 35]);
  memory.mib = 35.9;
  spare.look();
  assert.equal(memory.given, 1, 'small change stays');
  memory.mib = 36;
  spare.look();
  assert.deepEqual([memory.given, memory.mib], [2, 31]);
  spare.look();
  assert.equal(memory.given, 2, 'what cannot be given back is not tried again');
  memory.mib = 20;
  spare.look();
  memory.mib = 21;
  spare.look();
  assert.equal(memory.given, 3, 'counted from the least');
});

test('a process that nobody waits for collects before it gives back, and grows from there', () => {
  const memory = fakeProcess();
  const spare = new SpareMemory(memory);
  spare.settle();
  assert.deepEqual([memory.given, memory.mib], [1, 30]);
  memory.mib = 30.9;
  spare.look();
  assert.equal(memory.given, 1);
});

test('the table of locks is released when nobody waits for the process, or later where somebody always does, and once', () => {
  const memory = fakeProcess();
  const spare = new SpareMemory(memory);
  spare.settle();
  assert.equal(memory.graphs, 1);
  spare.releaseLockGraph();
  assert.equal(memory.graphs, 1);
  const busy = fakeProcess();
  new SpareMemory(busy).releaseLockGraph();
  assert.equal(busy.graphs, 1);
});

/** What a part goes through, and how often. */
function fakeRehearsal() {
  const rehearsal = { times: 0, again: () => Promise.resolve(void rehearsal.times++) };
  return rehearsal;
}

/** Behind all that promises lead to. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a quiet process that has grown by three MiB collects behind a rehearsal, and not again before it has grown again', async () => {
  const memory = fakeProcess();
  const spare = new SpareMemory(memory);
  const rehearsal = fakeRehearsal();
  spare.rehearsedBy(rehearsal.again);
  spare.settle();
  assert.equal(memory.mib, 30);
  memory.mib = 33;
  spare.look();
  assert.deepEqual([memory.given, rehearsal.times], [1, 1], 'it collects behind the rehearsal');
  await turn();
  assert.deepEqual([memory.given, memory.mib], [2, 23]);
  memory.mib = 25.9;
  spare.look();
  await turn();
  assert.equal(rehearsal.times, 1);
  memory.mib = 26;
  spare.look();
  await turn();
  assert.deepEqual([rehearsal.times, memory.mib], [2, 16]);
});

test('a process that works does not collect, nor one whose code would go with it', async () => {
  const memory = fakeProcess();
  const spare = new SpareMemory(memory);
  const rehearsal = fakeRehearsal();
  spare.look();
  assert.equal(memory.mib, 35, 'it gave back, and no more');
  spare.rehearsedBy(rehearsal.again);
  memory.mib = 60;
  memory.cpu = 21;
  spare.look();
  await turn();
  assert.deepEqual([rehearsal.times, memory.mib], [0, 55]);
  memory.cpu = 41;
  spare.look();
  await turn();
  assert.deepEqual([rehearsal.times, memory.mib], [1, 45]);
});

test('a process that is asked ten times a second does not collect, however little it works for that', async () => {
  const memory = fakeProcess();
  const spare = new SpareMemory(memory);
  const rehearsal = fakeRehearsal();
  spare.look();
  spare.rehearsedBy(rehearsal.again);
  memory.mib = 60;
  memory.told = 20;
  spare.look();
  await turn();
  assert.deepEqual([rehearsal.times, memory.mib], [0, 55]);
  // Probes, and what it asks by itself.
  memory.told += 8;
  spare.look();
  await turn();
  assert.deepEqual([rehearsal.times, memory.mib], [1, 45]);
});

test('what comes is seen as events of the loop', async (t) => {
  const memory = await processMemory();
  if (memory === undefined) return t.skip('no Linux, no glibc, or no koffi');
  const before = memory.events();
  const server = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write('x');
  await once(socket, 'data');
  socket.destroy();
  server.close();
  assert.ok(memory.events() >= before + 2);
});

test('a rehearsal that does not end is not begun again', async () => {
  const memory = fakeProcess();
  const spare = new SpareMemory(memory);
  let times = 0;
  spare.rehearsedBy(() => {
    times++;
    return new Promise(() => {});
  });
  spare.look();
  await turn();
  spare.look();
  assert.deepEqual([times, memory.mib], [1, 35]);
});

test('a rehearsal that fails ends nothing, and is begun again when the process has grown as much again', async () => {
  const memory = fakeProcess();
  const spare = new SpareMemory(memory);
  let times = 0;
  spare.rehearsedBy(() => (++times === 1 ? Promise.reject(new Error('no port is free')) : Promise.resolve()));
  spare.look();
  await turn();
  spare.look();
  await turn();
  assert.deepEqual([times, memory.mib], [1, 35]);
  memory.mib = 44;
  spare.look();
  await turn();
  assert.deepEqual([times, memory.mib], [2, 34]);
});

test('what cannot be looked at ends nothing, and is looked at again', () => {
  const memory = fakeProcess();
  const spare = new SpareMemory({
    ...memory,
    anonymous() {
      throw new Error('EMFILE: too many open files');
    },
    giveBack: () => void memory.given++,
  });
  spare.look();
  spare.settle();
  assert.equal(memory.given, 1);
});

test('this process gives pages back, and goes on with what was in them', async (t) => {
  const memory = await processMemory();
  if (memory === undefined) return t.skip('no Linux, no glibc, or no koffi');
  memory.collect();
  memory.giveBack();
  memory.leaveFilePages();
  assert.ok(memory.anonymous() > 0);
  const { createHash } = await import('node:crypto');
  assert.equal(createHash('sha256').update('abc').digest('hex').slice(0, 16), 'ba7816bf8f01cfea');
});

test('who collects forgets idle buffers first', async (t) => {
  const memory = await processMemory();
  if (memory === undefined) return t.skip('no Linux, no glibc, or no koffi');
  const buffer = takeBuffer(MIB / 4);
  recycle(buffer);
  memory.collect();
  assert.notEqual(takeBuffer(MIB / 4), buffer);
});

test('the table by which mutexes look for deadlocks leaves, and threads that take them go on', async (t) => {
  const memory = await processMemory();
  if (memory === undefined || ownLockGraphPages(4096).length === 0)
    return t.skip('no Linux, no glibc, no koffi, or no such table');
  memory.releaseLockGraph();
  assert.deepEqual(ownLockGraphPages(4096), [], 'no page of it is as it was');
  // Isolates and their compilers make mutexes, take and forget them.
  const workers = Array.from(
    { length: 4 },
    () => new Worker('require("crypto").randomBytes(16)', { eval: true }),
  );
  const codes = await Promise.all(workers.map((worker) => once(worker, 'exit')));
  assert.deepEqual(codes.flat(), [0, 0, 0, 0]);
  assert.ok(memory.anonymous() > 0);
});

test('memory whose bytes nobody needs leaves at once, up to the pages that others share', async (t) => {
  const memory = await processMemory();
  if (memory === undefined) return t.skip('no Linux, no glibc, or no koffi');
  const all = Buffer.allocUnsafeSlow(32 * MIB).fill(7);
  const before = memory.anonymous();
  memory.release(all.subarray(100, -100));
  assert.ok(memory.anonymous() < before - 16 * MIB);
  assert.ok([...all.subarray(0, 100), ...all.subarray(-100)].every((byte) => byte === 7));
  const small = Buffer.alloc(100, 7);
  memory.release(small);
  assert.ok(small.every((byte) => byte === 7));
});

test('V8 takes the flag to save memory, and knows by it that code was compiled under others', async (t) => {
  const memory = await processMemory();
  if (memory === undefined) return t.skip('no Linux, no glibc, or no koffi');
  const before = cachedDataVersionTag();
  memory.collectEarlier();
  assert.notEqual(cachedDataVersionTag(), before);
});
