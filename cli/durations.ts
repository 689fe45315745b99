import { UserError } from './errors.ts';

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** `20s`, `1m`, `500ms` in ms. Throws a UserError for anything else. */
export function parseDuration(text: string, flag: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  const [, number = '', unit = ''] = match ?? [];
  const factor = UNITS[unit];
  if (factor === undefined) {
    throw new UserError(
      `--${flag} ${text} is no duration`,
      'Write it as a number with a unit: 500ms, 20s, 1m.',
    );
  }
  return Number(number) * factor;
}
