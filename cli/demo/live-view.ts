import { styleText } from 'node:util';
import type { ClientStats } from '../../examples/types.ts';
import { table } from '../output.ts';
import { type Hop, shortIdentity } from './hops.ts';

/** What one frame shows. */
export interface Frame {
  stats: ClientStats;
  hops: readonly Hop[];
  pssMiB: number;
  seconds: number;
}

/** One frame of the live view as text. */
export function renderFrame({ stats, hops, pssMiB, seconds }: Frame, coloured: boolean): string {
  const bold = (text: string): string =>
    coloured ? styleText('bold', text, { validateStream: false }) : text;
  const total = Object.entries(stats.byCluster)
    .map(([cluster, count]) => `${cluster} ${count}`)
    .join(', ');
  const rate = stats.requests === 0 ? 1 : (stats.requests - stats.failures) / stats.requests;
  const lines = [
    bold('isthmus  east: client ── sidecar ══ mTLS ══ west: gateway ══ mTLS ══ sidecar ── web'),
    '',
    `running ${seconds.toFixed(0)} s   requests ${stats.requests}   failures ${stats.failures}   success ${percent(rate)}   ` +
      `p50 ${stats.latencyMs.p50.toFixed(1)} ms   p99 ${stats.latencyMs.p99.toFixed(1)} ms   memory ${pssMiB} MiB`,
    `answered by: ${total}   client as web sees it: ${shortIdentity(stats.clientIdentity ?? undefined)}`,
    '',
    hopTable(hops),
    'Ctrl-C ends it and removes everything.',
  ];
  return `${lines.join('\n')}\n`;
}

function hopTable(hops: readonly Hop[]): string {
  const rows = hops
    .toSorted((a, b) => a.cluster.localeCompare(b.cluster) || a.workload.localeCompare(b.workload))
    .map((hop) => [
      hop.cluster,
      hop.workload,
      hop.direction,
      shortIdentity(hop.peer),
      hop.requestsPerSecond.toFixed(0),
      percent(hop.successRate),
      `${hop.p50.toFixed(0)}ms`,
      `${hop.p99.toFixed(0)}ms`,
    ]);
  return table(['CLUSTER', 'PROXY OF', 'DIRECTION', 'MTLS PEER', 'RPS', 'SUCCESS', 'P50', 'P99'], rows);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)}%`;
}
