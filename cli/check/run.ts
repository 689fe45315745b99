import { setTimeout as delay } from 'node:timers/promises';
import { KubernetesError } from '../../kubernetes/types.ts';
import { UserError } from '../errors.ts';
import { type Check, error, type Verdict } from './check.ts';
import { type CheckOptions, Facts } from './facts.ts';

/** Between two rounds while something may still mend itself. */
const RETRY_MS = 1_000;
/** What takes longer than this has failed: a part that does not answer must not keep the rest from being told. */
const CHECK_TIMEOUT_MS = 30_000;

/** What became of one check. */
export interface CheckResult {
  check: Check;
  verdict: Verdict;
}

export interface RunOptions extends CheckOptions {
  /** ms of the monotonic clock: until then what may mend itself is tried again. */
  deadline: number;
  /** Each result once it is final, in the order of the checks. */
  onResult: (result: CheckResult) => void;
  /** Something is not well yet and is tried again. */
  onRetry?: (result: CheckResult) => void;
}

/**
 * Runs checks in rounds: those of one round side by side over one picture of the cluster, and what may mend itself again in the next. A check whose `needs`, or
 * a fatal check before it, have failed is left out, as in Linkerd; every other one is told whatever the rest came to.
 */
export async function runChecks(checks: readonly Check[], options: RunOptions): Promise<CheckResult[]> {
  const run = new Run(checks, options);
  while (!(await run.round())) await delay(RETRY_MS);
  return run.results;
}

/** `left-out` for now: what it needs has failed. */
type Outcome = Verdict | { result: 'left-out' };

class Run {
  readonly results: CheckResult[] = [];
  readonly #checks: readonly Check[];
  readonly #options: RunOptions;
  readonly #final = new Map<Check, Outcome>();
  #told = 0;

  constructor(checks: readonly Check[], options: RunOptions) {
    this.#checks = checks;
    this.#options = options;
  }

  /** Answers whether everything is final. */
  async round(): Promise<boolean> {
    const isLast = performance.now() + RETRY_MS > this.#options.deadline;
    const facts = new Facts(this.#options);
    const outcomes = new Map<Check, Promise<Outcome>>();
    for (const check of this.#checks) outcomes.set(check, this.#settle(check, facts, outcomes, isLast));
    await Promise.all(outcomes.values());
    const waiting = this.#checks.filter((check) => !this.#final.has(check));
    for (const check of waiting) {
      const outcome = await outcomes.get(check);
      if (outcome?.result !== 'error') continue;
      this.#options.onRetry?.({ check, verdict: outcome });
      break;
    }
    return waiting.length === 0;
  }

  async #settle(
    check: Check,
    facts: Facts,
    before: ReadonlyMap<Check, Promise<Outcome>>,
    isLast: boolean,
  ): Promise<Outcome> {
    const known = this.#final.get(check);
    if (known !== undefined) return known;
    const needed = [...before].filter(([other]) => other.fatal || check.needs?.includes(other.id));
    const needs = await Promise.all(needed.map(([, outcome]) => outcome));
    const missing = needs.some(({ result }) => result === 'error' || result === 'left-out');
    const outcome: Outcome = missing ? { result: 'left-out' } : await verdictOf(check, facts);
    const mayMend = missing ? needed.some(([other]) => !this.#final.has(other)) : check.waits === true;
    const isWell = outcome.result === 'success' || outcome.result === 'warning';
    if (isWell || isLast || !mayMend) this.#finish(check, outcome);
    return outcome;
  }

  /** Tells what can be told in order. */
  #finish(check: Check, outcome: Outcome): void {
    this.#final.set(check, outcome);
    for (;;) {
      const next = this.#checks[this.#told];
      const verdict = next === undefined ? undefined : this.#final.get(next);
      if (next === undefined || verdict === undefined) return;
      this.#told++;
      if (verdict.result === 'left-out') continue;
      const result = { check: next, verdict };
      this.results.push(result);
      this.#options.onResult(result);
    }
  }
}

async function verdictOf(check: Check, facts: Facts): Promise<Verdict> {
  const late = new AbortController();
  const timeout = delay(CHECK_TIMEOUT_MS, undefined, { signal: late.signal }).then(
    () => error(`no answer within ${CHECK_TIMEOUT_MS / 1000} s`),
    // The check was faster.
    () => error(''),
  );
  try {
    return await Promise.race([check.run(facts), timeout]);
  } catch (thrown) {
    return failure(thrown);
  } finally {
    late.abort();
  }
}

function failure(thrown: unknown): Verdict {
  if (thrown instanceof KubernetesError) return error(thrown.message);
  if (thrown instanceof UserError) {
    return error(thrown.hint === undefined ? thrown.message : `${thrown.message}\n${thrown.hint}`);
  }
  return error(`internal error of this check: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
}

/** Warnings do not count. */
export function succeeded(results: readonly CheckResult[]): boolean {
  return results.every(({ verdict }) => verdict.result !== 'error');
}
