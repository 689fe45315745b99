import { createServer, get } from 'node:http';
import { createHistogram } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClientStats, WebAnswer } from './types.ts';

/** Callers side by side: enough to keep a few hundred requests per second going at a few milliseconds each. */
const CALLERS = 16;
/** A caller that met an error waits this long, so that a dead target is not hammered. */
const ERROR_PAUSE_MS = 100;
const REQUEST_TIMEOUT_MS = 10_000;

const stats: ClientStats = {
  requests: 0,
  failures: 0,
  byCluster: {},
  clientIdentity: null,
  firstAnswerAt: null,
  lastError: null,
  latencyMs: { p50: 0, p99: 0 },
};
const latency = createHistogram();

/**
 * Calls TARGET without end at RATE requests per second, and serves what it measured at `/stats`. The load begins when
 * TARGET has answered once: how long the first answer took is when it came, and says nothing of what a request takes.
 */
export async function runClient(): Promise<void> {
  const target = process.env['TARGET'] ?? 'http://127.0.0.1:8080/';
  const rate = Number(process.env['RATE'] ?? 400);
  serveStats();
  process.on('SIGTERM', () => process.exit(0));
  await firstAnswer(target);
  for (let i = 0; i < CALLERS; i++) {
    void callForever(target, (CALLERS * 1000) / rate);
    await delay(1000 / rate);
  }
}

/** Until then the target is still coming up: that is waiting, not failing. */
async function firstAnswer(target: string): Promise<void> {
  while (stats.firstAnswerAt === null) {
    try {
      count(await call(target));
      stats.firstAnswerAt = Date.now();
    } catch (error) {
      stats.lastError = messageOf(error);
      await delay(ERROR_PAUSE_MS);
    }
  }
}

async function callForever(target: string, intervalMs: number): Promise<void> {
  for (;;) {
    const started = performance.now();
    try {
      const answer = await call(target);
      latency.record(Math.max(1, Math.round((performance.now() - started) * 1000)));
      count(answer);
    } catch (error) {
      stats.requests++;
      stats.failures++;
      stats.lastError = messageOf(error);
      await delay(ERROR_PAUSE_MS);
    }
    const left = intervalMs - (performance.now() - started);
    if (left > 0) await delay(left);
  }
}

function count(answer: WebAnswer): void {
  stats.requests++;
  stats.byCluster[answer.cluster] = (stats.byCluster[answer.cluster] ?? 0) + 1;
  stats.clientIdentity = answer.client;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function call(target: string): Promise<WebAnswer> {
  return new Promise((resolve, reject) => {
    const request = get(target, { timeout: REQUEST_TIMEOUT_MS }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(body) as WebAnswer);
        else
          reject(
            new Error(`HTTP ${response.statusCode} ${String(response.headers['l5d-proxy-error'] ?? '')}`),
          );
      });
    });
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', reject);
  });
}

function serveStats(): void {
  const host = process.env['POD_IP'] ?? '127.0.0.1';
  const server = createServer((_request, response) => {
    const milliseconds = (percentile: number): number =>
      latency.count === 0 ? 0 : latency.percentile(percentile) / 1000;
    const body: ClientStats = { ...stats, latencyMs: { p50: milliseconds(50), p99: milliseconds(99) } };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  server.listen(Number(process.env['PORT'] ?? 8080), host);
}
