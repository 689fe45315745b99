import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
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

test(
  'a process without a descriptor left tells what it last knew of itself',
  { skip: process.platform !== 'linux' },
  () => {
    const here = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
    const code = `
      import { openSync } from 'node:fs';
      import { exposition } from ${here('exposition.ts')};
      import { registerProcessMetrics } from ${here('process-metrics.ts')};
      import { Registry } from ${here('registry.ts')};
      const registry = new Registry();
      registerProcessMetrics(registry);
      const text = async () => (await Array.fromAsync(exposition(registry))).join('');
      await text();
      try {
        for (;;) openSync('/dev/null', 'r');
      } catch {}
      process.stdout.write(await text());
    `;
    const { stdout } = spawnSync(
      '/bin/sh',
      ['-c', 'ulimit -n 64; exec "$0" "$@"', process.execPath, '--input-type=module', '-e', code],
      { encoding: 'utf8' },
    );
    assert.match(stdout, /^process_resident_memory_bytes [1-9]/m);
    assert.match(stdout, /^process_open_fds [1-9]/m);
    assert.match(stdout, /^process_max_fds 64$/m);
  },
);
