import { setDefaultCACertificates } from 'node:tls';
import {
  createOwnLog,
  endProcess,
  EXIT_CONFIG,
  EXIT_FAILED,
  hearSignals,
  type LowestLevel,
  outliveFaults,
} from '../log/index.ts';
import type { Logger } from '../workload-identity/index.ts';
import { backgroundThreadsGiveWay } from './process/background-threads.ts';
import type { MeshConfig } from './config.ts';
import { ConfigError } from './environment-reader.ts';
import { stopIdleMeasure } from './process/idle-measure.ts';
import { giveSpareMemoryBack, type SpareMemory } from './process/spare-memory.ts';

/**
 * ms from the first certificate to what makes the process small: that takes 20 to 40 ms, in which before it the answer
 * that the start waits for would lie unread, and right behind it the question whether the process is ready.
 */
const TELL_MS = 20;
/**
 * Bytes that the runtime cuts small buffers from (64 KiB by default): one small piece that lasts keeps all of them, and
 * each connection to a proxy has some.
 */
const POOL_BYTES = 8 * 1024;

/** What is started and, when the process is told to end, drained. */
export interface Part {
  /** The first certificate is there: only from here on it can serve. Never rejects. */
  readonly certified: Promise<void>;
  drain(): Promise<void>;
}

/** What a part gets to start with. */
export interface RunOptions {
  log: Logger;
  /** The lowest that `log` writes. */
  logLevel: LowestLevel;
  /** Ends the process as SIGTERM does. */
  shutDown: () => void;
  /** The part goes through all that requests need whenever it is asked to, and keeps the objects of it: what V8 has compiled stays through collections then. */
  rehearsedBy: (again: () => Promise<void>) => void;
  /** The part tells that nothing of its start is under way any more, and nobody waits for it: now is the time for what makes the process small. */
  settled: () => void;
}

/**
 * Runs a part as a process: reads its configuration (exit 64 when that cannot be used), starts it (exit 1 when that
 * fails), drains it when a signal says so (`hearSignals`), and exits 0.
 */
export async function run<C extends MeshConfig>(
  part: string,
  read: (env: NodeJS.ProcessEnv) => C,
  start: (config: C, options: RunOptions) => Promise<Part>,
): Promise<void> {
  Buffer.poolSize = POOL_BYTES;
  const config = readConfig(read);
  if (config === undefined) return;
  // Only the mesh's anchors are believed. Else the first TLS context that is given one has the runtime make a store of
  // all public authorities, to see whether it is its own: 10 ms of a start.
  setDefaultCACertificates([]);
  const ownLog = createOwnLog({ name: part }, config.logLevel);
  const { log, level: logLevel } = ownLog;
  outliveFaults(log);
  let stopping = false;
  const stop = (reason: string): void => {
    if (stopping) return;
    stopping = true;
    log.info({ reason }, 'draining');
    void end();
  };
  const end = async (): Promise<void> => {
    let code = 0;
    try {
      await (await starting).drain();
    } catch (error) {
      log.error({ error: String(error) }, 'the drain failed');
      code = EXIT_FAILED;
    }
    await endProcess(ownLog, code);
  };
  const spareMemory = Promise.withResolvers<SpareMemory | undefined>();
  // Who has settled before it is there, as where there is nothing to warm up, has settled all the same.
  const settled = (): void => void spareMemory.promise.then((spare) => spare?.settle());
  const rehearsedBy = (again: () => Promise<void>): void =>
    void spareMemory.promise.then((spare) => spare?.rehearsedBy(again));
  const afterStart = (): void => {
    backgroundThreadsGiveWay();
    spareMemory.resolve(giveSpareMemoryBack());
    void stopIdleMeasure();
  };
  // Before the start: the first process of a container is not told at all of a signal that it does not handle, and
  // would be killed when the pod's grace is over.
  hearSignals(log, stop);
  const starting = start(config, { log, logLevel, shutDown: () => stop('/shutdown'), rehearsedBy, settled });
  try {
    const { certified } = await starting;
    void certified.then(() => setTimeout(afterStart, TELL_MS));
  } catch (error) {
    // Half a process would live on by what it has opened, and nobody would start it again.
    log.error({ error: error instanceof Error ? error.message : String(error) }, 'it cannot start');
    return endProcess(ownLog, EXIT_FAILED);
  }
}

function readConfig<C>(read: (env: NodeJS.ProcessEnv) => C): C | undefined {
  try {
    return read(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = EXIT_CONFIG;
    return undefined;
  }
}
