import type { Duration } from '@bufbuild/protobuf/wkt';
import { create } from '@bufbuild/protobuf';
import { DurationSchema } from '@bufbuild/protobuf/wkt';

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Reads a duration as Linkerd's annotations hold them: a whole number with a unit (`ms`, `s`, `m`, `h`, `d`), or `0`. In ms; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  const match = /^([0-9]{1,10})(ms|s|m|h|d)$/.exec(text);
  if (match === null) return undefined;
  const [, count = '', unit = ''] = match;
  return Number(count) * (UNIT_MS[unit] ?? Number.NaN);
}

/** @param ms whole milliseconds, 0 or more */
export function protoDuration(ms: number): Duration {
  return create(DurationSchema, {
    seconds: BigInt(Math.floor(ms / 1_000)),
    nanos: (ms % 1_000) * 1_000_000,
  });
}
