import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Runtime } from '../proxy/index.ts';
import { ExportWatch } from './exports.ts';

/** What the watch asks of a process, without a control plane. */
function process() {
  const certified = Promise.withResolvers<void>();
  const runtime = {
    random: () => 0,
    clock: { now: () => 0, monotonic: () => 0, after: () => ({ cancel: () => undefined }) },
    identity: { ready: certified.promise },
    config: { clusterDomain: 'cluster.local' },
    log: { info: () => undefined },
    control: {
      cells: () => ({
        wanted: () => undefined,
        asked: () => 0,
        moved: () => undefined,
        settled: () => undefined,
        now: () => 0,
      }),
    },
    destination: {
      serverStream: () => {
        asked++;
        return { cancel: () => undefined };
      },
    },
  };
  let asked = 0;
  return { runtime: runtime as unknown as Runtime, certify: certified.resolve, asked: () => asked };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('exports are asked for as soon as there is a certificate, and not before', async () => {
  const { runtime, certify, asked } = process();
  const watch = new ExportWatch(runtime);
  await turn();
  assert.equal(asked(), 0, 'a connection that cannot be made would put off the one that can');
  certify();
  await turn();
  assert.equal(asked(), 1);
  watch.stop();
});

test('exports are not asked for by a gateway that has stopped meanwhile', async () => {
  const { runtime, certify, asked } = process();
  new ExportWatch(runtime).stop();
  certify();
  await turn();
  assert.equal(asked(), 0);
});
