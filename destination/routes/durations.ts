const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** A duration as routes write it (GEP-2257: `1h30m`, `10s`, `250ms`), in ms; undefined when the text is none. */
export function parseRouteDuration(text: string): number | undefined {
  if (!/^([0-9]{1,5}(h|ms|m|s)){1,4}$/.test(text)) return undefined;
  let sum = 0;
  for (const [, count = '', unit = ''] of text.matchAll(/([0-9]+)(h|ms|m|s)/g))
    sum += Number(count) * (UNIT_MS[unit] ?? Number.NaN);
  return sum;
}
