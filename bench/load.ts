import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { findProgram, pinned } from './processes.ts';

/** What is asked for, how often at once. */
export interface Load {
  host: string;
  port: number;
  /** The request target, as it goes onto the wire. */
  target: string;
  connections: number;
  /** ms. */
  durationMs: number;
}

export interface LoadResult {
  requests: number;
  failures: number;
}

/** Drives one load to its end: closed loop, a request a connection. */
export type Drive = (load: Load) => Promise<LoadResult>;

/** wrk where it is installed, else a generator of our own. `folder`: for the script that wrk needs. */
export function generator(folder: string): { name: string; drive: Drive } {
  const wrk = findProgram('wrk');
  if (wrk === undefined) return { name: 'own generator (wrk is not installed)', drive: driveOwn };
  return { name: 'wrk', drive: (load) => driveWrk(wrk, folder, load) };
}

/** wrk knows no absolute form, and whole seconds only; a script sets the one and ends the other. */
function driveWrk(wrk: string, folder: string, load: Load): Promise<LoadResult> {
  const script = join(folder, 'request.lua');
  writeFileSync(
    script,
    `wrk.path = "${load.target}"
wrk.headers["Host"] = "app"
done = function(summary)
  local e = summary.errors
  print("RESULT " .. summary.requests .. " " .. (e.connect + e.read + e.write + e.status + e.timeout))
end
`,
  );
  const seconds = Math.max(1, Math.round(load.durationMs / 1_000));
  const args = ['-t1', `-c${load.connections}`, `-d${seconds}s`, '-s', script];
  const [first = wrk, ...rest] = pinned('load', [wrk, ...args, `http://${load.host}:${load.port}/`]);
  const child = spawn(first, rest, {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => {
      const [, requests, failures] = /RESULT (\d+) (\d+)/.exec(output) ?? [];
      if (requests === undefined) reject(new Error(`wrk said no result: ${output}`));
      else resolve({ requests: Number(requests), failures: Number(failures) });
    });
  });
}

/** Keep-alive connections, each with one request under way; answers are told apart by their declared length. */
async function driveOwn(load: Load): Promise<LoadResult> {
  const request = Buffer.from(`GET ${load.target} HTTP/1.1\r\nHost: app\r\n\r\n`);
  const result: LoadResult = { requests: 0, failures: 0 };
  const end = Date.now() + load.durationMs;
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      const socket = connect({ host: load.host, port: load.port, noDelay: true });
      let left = -1;
      socket.once('connect', () => socket.write(request));
      socket.on('data', (chunk: Buffer) => {
        if (left < 0) left = lengthOf(chunk);
        left -= chunk.length;
        if (left > 0) return;
        left = -1;
        result.requests++;
        if (Date.now() < end) socket.write(request);
        else socket.destroy();
      });
      socket.once('error', () => result.failures++);
      socket.once('close', () => resolve());
    });
  await Promise.all(Array.from({ length: load.connections }, one));
  return result;
}

/** Bytes of a whole answer whose head is at the chunk's start. */
function lengthOf(chunk: Buffer): number {
  const head = chunk.toString('latin1', 0, chunk.indexOf('\r\n\r\n') + 4);
  return head.length + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
}
