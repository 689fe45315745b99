import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exposition } from './exposition.ts';
import { registerProcessMetrics } from './process-metrics.ts';
import { Registry } from './registry.ts';

test(
  'the process tells what Linkerd’s dashboard of proxies asks for',
  { skip: process.platform !== 'linux' },
  async () => {
    const registry = new Registry();
    registerProcessMetrics(registry);
    let text = '';
    for await (const slice of exposition(registry)) text += slice;
    const value = (name: string): number => Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1]);
    const resident = value('process_resident_memory_bytes');
    assert.ok(resident > 0 && resident < value('process_virtual_memory_bytes'));
    assert.ok(value('process_cpu_seconds_total') > 0);
    assert.ok(value('process_open_fds') > 2 && value('process_open_fds') < value('process_max_fds'));
    assert.ok(Math.abs(value('process_start_time_seconds') - (Date.now() / 1_000 - process.uptime())) < 2);
  },
);
