import { error, ok, type Verdict, warning } from './check.ts';
import type { ClockReading } from './facts.ts';

/** From this share of what is tolerated on a person should know. */
const WARNING_SHARE = 0.25;

/** Whether clocks agree well enough; `toleranceMs` is what breaks something. Too little to be measured is well. */
export function clockVerdict(what: string, reading: ClockReading, toleranceMs: number): Verdict {
  const { aheadMs, uncertaintyMs } = reading;
  const least = Math.abs(aheadMs) - uncertaintyMs;
  if (least < toleranceMs * WARNING_SHARE) return ok;
  const way = aheadMs > 0 ? 'ahead' : 'behind';
  const message = `${what} is ${Math.round(Math.abs(aheadMs) / 1000)} s ${way}: set the clocks by NTP`;
  return least < toleranceMs ? warning(message) : error(message);
}
