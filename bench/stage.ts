import type { App, Chain } from './chain.ts';
import type { Build } from './build.ts';
import type { Isthmus } from './isthmus.ts';
import type { Drive } from './load.ts';
import type { PeerChains } from './peers.ts';
import type { Processes } from './processes.ts';
import type { Report } from './report.ts';

/**
 * ms from readiness to the first request: so long at least others need to learn of a new endpoint. A pair that is asked
 * at once breaks off its warm-up, and pays for that when V8 first collects.
 */
const LEARN_MS = 1_000;

/** Resolves when a sidecar that is ready now is known to others. */
export function learnt(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, LEARN_MS));
}

/** What the cases are played on. */
export interface Stage {
  readonly processes: Processes;
  /** For files, removed at the end. */
  readonly folder: string;
  readonly app: App;
  readonly isthmus: Isthmus;
  /** Undefined: our own figures alone are wanted. */
  readonly peers: PeerChains | undefined;
  /** Ours as it is here, then others of ours. */
  readonly builds: readonly Build[];
  readonly drive: Drive;
  readonly rounds: number;
  /** How the names of the wanted cases begin. */
  readonly only: string;
  readonly report: Report;
}

/** Chains of all candidates. What is not installed, or an older revision cannot do, is left out, with a line that says so. */
export async function startChains(
  stage: Stage,
  own: (build: Build) => Promise<Chain>,
  others: readonly [string, Promise<Chain | undefined> | undefined][],
): Promise<Chain[]> {
  const chains: Chain[] = [];
  for (const [i, build] of stage.builds.entries()) {
    try {
      chains.push(await own(build));
    } catch (error) {
      if (i === 0) throw error;
      stage.report.note(`${build.name} is left out: ${(error as Error).message}`);
    }
  }
  await learnt();
  for (const [name, starting] of others) {
    const chain = await starting;
    if (chain !== undefined) chains.push(chain);
    else if (starting !== undefined) stage.report.note(`${name} is not installed: left out`);
  }
  return chains;
}
