/** Milliseconds of each unit of Go's durations, in which Linkerd's annotations are written. */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

const DURATION = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/;
const PART = /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g;

/** Milliseconds of a duration such as `90s` or `1m30s`; undefined: the text is none, or none that could be waited for. */
export function durationMs(text: string): number | undefined {
  if (text === '0') return 0;
  if (!DURATION.test(text)) return undefined;
  const parts = [...text.matchAll(PART)].map(([, number, unit = '']) => Number(number) * (UNITS[unit] ?? 0));
  const sum = parts.reduce((total, part) => total + part, 0);
  return Number.isFinite(sum) ? sum : undefined;
}
