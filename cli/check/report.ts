import { mark } from '../output.ts';
import { type CheckResult, succeeded } from './run.ts';

/** Where each check's cause and cure stand, under its id. */
const HINTS = 'docs/checks.md';

function hintOf({ check }: CheckResult): string {
  return `${HINTS}#${check.id}`;
}

/** Prints results as Linkerd does: a head per category, a mark per check, message and hint below what is not well. */
export class CheckPrinter {
  #category = '';
  readonly #write: (text: string) => void;
  readonly #options: { coloured: boolean; onlyProblems: boolean };

  constructor(write: (text: string) => void, options: { coloured: boolean; onlyProblems: boolean }) {
    this.#write = write;
    this.#options = options;
  }

  print(result: CheckResult): void {
    const { check, verdict } = result;
    const { coloured, onlyProblems } = this.#options;
    if (onlyProblems && verdict.result === 'success') return;
    if (check.category !== this.#category) {
      const gap = this.#category === '' ? '' : '\n';
      this.#write(`${gap}${check.category}\n${'-'.repeat(check.category.length)}\n`);
      this.#category = check.category;
    }
    const sign = mark(verdict.result === 'success' ? 'ok' : verdict.result, coloured);
    this.#write(`${sign} ${check.description}\n`);
    if (verdict.result !== 'success') {
      this.#write(`${indented(verdict.message)}\n    see ${hintOf(result)} for hints\n`);
    }
  }

  /** The last line. */
  end(results: readonly CheckResult[]): void {
    const gap = this.#category === '' ? '' : '\n';
    const sign = mark(succeeded(results) ? 'ok' : 'error', this.#options.coloured);
    this.#write(`${gap}Status check results are ${sign}\n`);
  }
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '    ');
}

/** The JSON form, of Linkerd's shape: categories with their checks. */
export function checksToJson(results: readonly CheckResult[]): object {
  const categories = new Map<string, object[]>();
  for (const result of results) {
    const { check, verdict } = result;
    const list = categories.get(check.category) ?? [];
    categories.set(check.category, list);
    list.push({
      description: check.description,
      ...(verdict.result === 'success' ? {} : { hint: hintOf(result), error: verdict.message }),
      result: verdict.result,
    });
  }
  return {
    success: succeeded(results),
    categories: [...categories].map(([categoryName, checks]) => ({ categoryName, checks })),
  };
}
