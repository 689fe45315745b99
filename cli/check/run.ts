import { setTimeout as delay } from 'node:timers/promises';
import { KubernetesError } from '../../kubernetes/types.ts';
import { type Output, mark } from '../output.ts';
import type { Check, CheckContext, Verdict } from './checks.ts';

/** A check that failed is tried again after this, until the time of `--wait` is over. */
const RETRY_MS = 1_000;

export interface CheckResult {
  category: string;
  description: string;
  hint: string;
  verdict: Verdict;
}

/** Runs the checks in order, each until it succeeds or `deadline` (ms of the monotonic clock) has passed. A fatal failure ends the run. */
export async function runChecks(
  checks: readonly Check[],
  context: CheckContext,
  deadline: number,
  onResult: (result: CheckResult) => void,
): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const check of checks) {
    const verdict = await settle(check, context, deadline);
    const { category, description, hint } = check;
    const result = { category, description, hint, verdict };
    results.push(result);
    onResult(result);
    if (verdict.result === 'error' && check.fatal) break;
  }
  return results;
}

async function settle(check: Check, context: CheckContext, deadline: number): Promise<Verdict> {
  for (;;) {
    const verdict = await once(check, context);
    if (verdict.result !== 'error' || performance.now() + RETRY_MS > deadline) return verdict;
    await delay(RETRY_MS);
  }
}

async function once(check: Check, context: CheckContext): Promise<Verdict> {
  try {
    return await check.run(context);
  } catch (error) {
    if (error instanceof KubernetesError) return { result: 'error', message: error.message };
    throw error;
  }
}

/** Prints results as Linkerd does: a head per category, a mark per check, message and hint below what is not well. */
export class CheckPrinter {
  #category = '';
  readonly #output: Output;
  readonly #onlyProblems: boolean;

  constructor(output: Output, onlyProblems: boolean) {
    this.#output = output;
    this.#onlyProblems = onlyProblems;
  }

  print({ category, description, hint, verdict }: CheckResult): void {
    if (this.#onlyProblems && verdict.result === 'success') return;
    if (category !== this.#category) {
      const gap = this.#category === '' ? '' : '\n';
      this.#output.out(`${gap}${category}\n${'-'.repeat(category.length)}\n`);
      this.#category = category;
    }
    const sign = mark(verdict.result === 'success' ? 'ok' : verdict.result, this.#output.interactive);
    this.#output.out(`${sign} ${description}\n`);
    if (verdict.result !== 'success') this.#output.out(`    ${verdict.message}\n    ${hint}\n`);
  }
}

/** The JSON form: Linkerd's shape, categories with their checks. */
export function checksToJson(results: readonly CheckResult[]): object {
  const categories = new Map<string, object[]>();
  for (const { category, description, hint, verdict } of results) {
    const list = categories.get(category) ?? [];
    list.push({
      description,
      result: verdict.result,
      ...(verdict.result === 'success' ? {} : { hint, error: verdict.message }),
    });
    categories.set(category, list);
  }
  return {
    success: succeeded(results),
    categories: [...categories].map(([categoryName, checks]) => ({ categoryName, checks })),
  };
}

export function succeeded(results: readonly CheckResult[]): boolean {
  return results.every((result) => result.verdict.result !== 'error');
}
