import { stripVTControlCharacters, styleText } from 'node:util';
import type { Output } from '../output.ts';
import { type Hop, shortIdentity } from './hops.ts';
import type { Sight } from './traffic.ts';

/** What terminals have that tell no width. */
const DEFAULT_COLUMNS = 80;
const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';

/**
 * Shows sight after sight: on a terminal in one place, elsewhere as a line each. On a terminal, `close` must be called at the end: it gives the cursor back.
 */
export class LiveView {
  readonly #output: Output;
  readonly #columns: () => number;
  #lines = 0;
  #before: { requests: number; at: number } | undefined;

  constructor(output: Output, columns = (): number => process.stderr.columns ?? DEFAULT_COLUMNS) {
    this.#output = output;
    this.#columns = columns;
  }

  /** `now` in ms of a monotonic clock. */
  show(sight: Sight, now: number = performance.now()): void {
    const perSecond = this.#rate(sight.stats.requests, now);
    if (!this.#output.interactive) {
      this.#output.err(`${summary(sight, perSecond)}\n`);
      return;
    }
    const frame = frameLines(sight, perSecond).map((line) => cut(line, this.#columns()));
    const back = this.#lines === 0 ? `\n${HIDE_CURSOR}` : `\u001b[${this.#lines}F\u001b[J`;
    this.#output.err(`${back}${frame.join('\n')}\n`);
    this.#lines = frame.length;
  }

  close(): void {
    if (this.#lines > 0) this.#output.err(`${SHOW_CURSOR}\n`);
    this.#lines = 0;
  }

  #rate(requests: number, now: number): number {
    const before = this.#before;
    this.#before = { requests, at: now };
    return before === undefined || now === before.at
      ? 0
      : ((requests - before.requests) * 1000) / (now - before.at);
  }
}

const DIAGRAM = [
  '┌ east ──────────────┐               ┌ west ──────────────────────────────────┐',
  '│ client ── sidecar ═╪═════ mTLS ════╪═ gateway ═══ mTLS ═══ sidecar ── web   │',
  '└────────────────────┘               └────────────────────────────────────────┘',
];

/** One frame, line by line, 80 columns wide at most. */
export function frameLines(sight: Sight, perSecond: number): string[] {
  const { stats, hops, pssMiB } = sight;
  const answered = Object.entries(stats.byCluster).map(([name, count]) => `${name} ${count}`);
  return [
    ...DIAGRAM,
    '',
    bold(summary(sight, perSecond)),
    `answered by ${answered.join(', ')}   web sees ${shortIdentity(stats.clientIdentity ?? undefined)}   all processes ${pssMiB} MiB`,
    '',
    bold(row('PROXY OF', '', 'PEER BY MUTUAL TLS', 'REQ/S', 'SUCCESS', 'P50', 'P99')),
    ...hopLines(hops),
    '',
    dim('Ctrl-C ends it and removes everything.'),
  ];
}

function summary({ stats }: Sight, perSecond: number): string {
  const rate = stats.requests === 0 ? 1 : (stats.requests - stats.failures) / stats.requests;
  return (
    `${stats.requests} requests   ${perSecond.toFixed(0)}/s   ${stats.failures} failed   ${percent(rate)} success   ` +
    `p50 ${stats.latencyMs.p50.toFixed(1)} ms   p99 ${stats.latencyMs.p99.toFixed(1)} ms`
  );
}

/** Grouped by cluster, in the order in which a request passes. */
function hopLines(hops: readonly Hop[]): string[] {
  const clusters = Map.groupBy(hops.toSorted(byPath), (hop) => hop.cluster);
  return [...clusters].flatMap(([cluster, itsHops]) => [cluster, ...itsHops.map(hopLine)]);
}

function byPath(a: Hop, b: Hop): number {
  return (
    a.cluster.localeCompare(b.cluster) ||
    a.workload.localeCompare(b.workload) ||
    a.direction.localeCompare(b.direction) ||
    (a.peer ?? '').localeCompare(b.peer ?? '')
  );
}

function hopLine(hop: Hop): string {
  return row(
    `  ${hop.workload}`,
    hop.direction === 'inbound' ? 'in' : 'out',
    shortIdentity(hop.peer),
    hop.requestsPerSecond.toFixed(0),
    percent(hop.successRate),
    `${hop.p50.toFixed(0)}ms`,
    `${hop.p99.toFixed(0)}ms`,
  );
}

/** Text to the left, numbers to the right. */
function row(
  name: string,
  direction: string,
  peer: string,
  rps: string,
  success: string,
  p50: string,
  p99: string,
): string {
  const text = `${name.padEnd(18)}${direction.padEnd(4)}${peer.padEnd(31)}`;
  return `${text}${rps.padStart(5)}${success.padStart(9)}${p50.padStart(6)}${p99.padStart(6)}`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)}%`;
}

function bold(text: string): string {
  return styleText('bold', text, { validateStream: false });
}

function dim(text: string): string {
  return styleText('dim', text, { validateStream: false });
}

/** A line that wraps would make the frame higher than its lines. Colours of a line that is cut are given up. */
function cut(line: string, columns: number): string {
  const plain = stripVTControlCharacters(line);
  return plain.length < columns ? line : plain.slice(0, columns - 1);
}
