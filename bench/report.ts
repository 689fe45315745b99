/** What one case came to. */
export interface Result {
  /** What the numbers are of. */
  readonly unit: 'µs' | 'ms' | 'MiB' | 'x';
  /** By candidate; `isthmus` is ours. */
  readonly values: ReadonlyMap<string, number>;
  /** Goals, each of ours in proportion to the cheapest of some candidates; of ours alone where there are none. */
  readonly goals: readonly Goal[];
}

export interface Goal {
  /** Key of the line of JSON. */
  readonly key: string;
  readonly against: readonly string[];
  readonly most: number;
}

/** A key of the line of JSON. `ratio` is held to `goal`. */
interface Line {
  ours: number;
  haproxy?: number;
  nginx?: number;
  ratio: number;
  goal: number;
}

const OURS = 'isthmus';

/** Collects results, prints them as they come, and at the end as JSON where that is wanted. */
export class Report {
  readonly #write: (line: string) => void;
  readonly #lines: Record<string, Line> = {};

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  note(line: string): void {
    this.#write(line);
  }

  add(name: string, { unit, values, goals }: Result): void {
    const ours = values.get(OURS) ?? Number.NaN;
    const columns = [...values].map(([candidate, value]) => {
      const ratio = candidate === OURS || values.size === 1 ? '' : ` (${(ours / value).toFixed(2)})`;
      return `${candidate} ${digits(value)} ${unit}${ratio}`;
    });
    this.#write(`${name.padEnd(28)}${columns.join('   ')}`);
    for (const goal of goals) this.#judge(goal, ours, values);
  }

  /** One line: a key a case. */
  json(): string {
    return JSON.stringify(this.#lines);
  }

  #judge({ key, against, most }: Goal, ours: number, values: ReadonlyMap<string, number>): void {
    const others = against.map((name) => values.get(name)).filter((value) => value !== undefined);
    if (others.length < against.length) return;
    const ratio = others.length === 0 ? ours : ours / Math.min(...others);
    // A key of its own names which of haproxy's two ways was measured.
    const haproxy = values.get(against.find((name) => name.startsWith('haproxy')) ?? 'haproxy');
    const nginx = values.get('nginx');
    this.#lines[key] = {
      ours: round(ours),
      ...(haproxy === undefined ? {} : { haproxy: round(haproxy) }),
      ...(nginx === undefined ? {} : { nginx: round(nginx) }),
      ratio: round(ratio),
      goal: most,
    };
    const met = ratio <= most ? 'met' : 'missed';
    const than = others.length === 0 ? '' : ` x ${against.length > 1 ? 'the better' : against[0]}`;
    this.#write(`  goal <= ${most}${than}: ${round(ratio)}, ${met}`);
  }
}

function digits(value: number): string {
  return value >= 1_000 ? value.toFixed(0) : value.toFixed(1);
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
