import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freshAddress } from '../../test/testing/addresses.ts';
import type { MeshConfig } from '../config.ts';
import { FakeCollector } from './otlp.ts';

/** An access log and a collector, of which it is to be seen that they are told nothing. */
export interface Untold {
  /** The settings that lead to them. */
  readonly settings: Required<Pick<MeshConfig, 'accessLog' | 'traces'>>;
  /** Throws where they have been told of a request. */
  check(): void;
}

/** They go with the test. */
export async function untold(t: TestContext): Promise<Untold> {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-untold-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const collector = new FakeCollector();
  t.after(() => collector.stop());
  const file = join(folder, 'access.log');
  return {
    settings: {
      accessLog: { format: 'json', file },
      traces: {
        collector: await collector.start(freshAddress()),
        identity: undefined,
        sampling: 1,
        serviceName: 'untold',
      },
    },
    check() {
      assert.equal(existsSync(file), false);
      assert.deepEqual(collector.spans, []);
    },
  };
}
