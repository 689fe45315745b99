import { readdirSync, readFileSync } from 'node:fs';
import { VERSION } from '../../api/names.ts';
import { descriptorLimit } from '../../log/index.ts';
import type { IdentityMetric } from '../../workload-identity/index.ts';
import type { Registry } from './registry.ts';

/** Build, memory, CPU and file descriptors of this process; names as Linkerd's proxy gives them, but for the heap. */
export function registerProcessMetrics(registry: Registry): void {
  registry
    .gauge('proxy_build_info', 'Version of the proxy')
    .cell({ version: VERSION, vendor: 'isthmus', runtime: `node ${process.versions.node}` })
    .set(1);
  const start = registry
    .gauge('process_start_time_seconds', 'Start of the process, seconds since the epoch')
    .cell();
  start.set(Math.round(Date.now() / 1000 - process.uptime()));
  const cpu = registry.counter('process_cpu_seconds_total', 'CPU time, user and system').cell();
  const virtual = registry.gauge('process_virtual_memory_bytes', 'Virtual memory').cell();
  const resident = registry.gauge('process_resident_memory_bytes', 'Resident memory').cell();
  const heap = registry.gauge('process_heap_bytes', 'Heap in use').cell();
  const fds = registry.gauge('process_open_fds', 'Open file descriptors').cell();
  const most = registry.gauge('process_max_fds', 'File descriptors that may be open').cell();
  registry.onCollect(() => {
    const { user, system } = process.cpuUsage();
    cpu.add((user + system) / 1e6 - cpu.value);
    whileReadable(() => {
      const { rss, heapUsed } = process.memoryUsage();
      resident.set(rss);
      heap.set(heapUsed);
    });
    whileReadable(() => virtual.set(virtualMemory()));
    whileReadable(() => fds.set(readdirSync('/proc/self/fd').length));
    const limit = descriptorLimit();
    if (limit !== Infinity) most.set(limit);
  });
}

/** The identity's own values, under its own names. */
export function registerIdentityMetrics(registry: Registry, metrics: () => IdentityMetric[]): void {
  for (const metric of metrics()) {
    const { name, help, type } = metric;
    const counter = type === 'counter' ? registry.counter(name, help).cell() : undefined;
    const gauge = type === 'gauge' ? registry.gauge(name, help).cell() : undefined;
    registry.onCollect(() => {
      const now = metrics().find((other) => other.name === name);
      if (now === undefined) return;
      gauge?.set(now.value);
      counter?.add(now.value - counter.value);
    });
  }
}

/**
 * What the system tells takes a descriptor to read. Where none is left, or the system is not Linux, the last values
 * stay, and the other metrics are told all the same.
 */
function whileReadable(read: () => void): void {
  try {
    read();
  } catch {
    // As above.
  }
}

function virtualMemory(): number {
  const [, kib = 0] = /^VmSize:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
  return Number(kib) * 1024;
}
