import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, message, pinned, type Processes } from './processes.ts';

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
export function generator(processes: Processes, folder: string): { name: string; drive: Drive } {
  const wrk = findProgram('wrk');
  if (wrk !== undefined) return { name: 'wrk', drive: (load) => driveWrk(wrk, folder, load) };
  return {
    name: 'own generator (wrk is not installed)',
    drive: (load) => ask(processes, 'load-http1.ts', load),
  };
}

/** Runs a generator of this folder as a process: it gets what it needs as JSON, and answers with one message. */
export async function ask<Answer>(processes: Processes, file: string, question: object): Promise<Answer> {
  const path = join(import.meta.dirname, file);
  const child = processes.startNode('load', path, [JSON.stringify(question)]);
  return (await message<{ kind: 'result'; result: Answer }>(child, 'result')).result;
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
  // Slow is no failure here.
  const args = ['--timeout', '30s', '-t1', `-c${load.connections}`, `-d${seconds}s`, '-s', script];
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
