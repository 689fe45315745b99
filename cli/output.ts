import { styleText } from 'node:util';
import * as yaml from 'js-yaml';

/** Where a command writes: results to `out`, progress and warnings to `err`. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
  /** `err` is a terminal: colours and moving lines are welcome. */
  readonly interactive: boolean;
}

/** NO_COLOR counts when it is not empty (no-color.org). */
export function wantsColours(stream: { readonly isTTY?: boolean }, env = process.env): boolean {
  return stream.isTTY === true && (env['NO_COLOR'] ?? '') === '';
}

/** What a person or a pipe reads. */
export const standardOutput: Output = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  interactive: wantsColours(process.stderr),
};

/** For work whose steps are not worth telling. */
export const silentOutput: Output = { out: () => undefined, err: () => undefined, interactive: false };

/** Columns as kubectl sets them: upper-case heads, three blanks between. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, i) => Math.max(...all.map((row) => (row[i] ?? '').length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (i === head.length - 1 ? cell : cell.padEnd((widths[i] ?? 0) + 3)))
      .join('')
      .trimEnd();
  return `${all.map(line).join('\n')}\n`;
}

/** How objects are printed. */
export type ObjectFormat = 'yaml' | 'json';

/** Kubernetes objects as one YAML stream, or as a `List` in JSON. */
export function renderObjects(objects: readonly object[], format: ObjectFormat): string {
  if (format === 'json') {
    return `${JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }, null, 2)}\n`;
  }
  return objects.map((object) => `---\n${yaml.dump(object, { noRefs: true, lineWidth: 160 })}`).join('');
}

/** The result of a check. */
export type Mark = 'ok' | 'warning' | 'error';

const MARKS: Record<Mark, { sign: string; colour: 'green' | 'yellow' | 'red' }> = {
  ok: { sign: '√', colour: 'green' },
  warning: { sign: '‼', colour: 'yellow' },
  error: { sign: '×', colour: 'red' },
};

/** Linkerd's marks for the result of a check. */
export function mark(kind: Mark, coloured: boolean): string {
  const { sign, colour } = MARKS[kind];
  return coloured ? styleText(colour, sign, { validateStream: false }) : sign;
}

/** Runs one step of a long piece of work and shows on `err` that it runs, how long it took, and what came of it. */
export async function step<T>(output: Output, title: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  if (output.interactive) output.err(`  ${title} …`);
  const finish = (kind: Mark): void => {
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const clear = output.interactive ? '\r\u001b[K' : '';
    output.err(`${clear}${mark(kind, output.interactive)} ${title} (${seconds} s)\n`);
  };
  try {
    const result = await work();
    finish('ok');
    return result;
  } catch (error) {
    finish('error');
    throw error;
  }
}
