import type { Duration } from '@bufbuild/protobuf/wkt';
import type { Metadata } from '../../api/proto/gen/linkerd/meta_pb.js';

/** ms: 24 days. A timer that is set for more than 24.8 fires at once. */
const MAX_MS = 24 * 86_400_000;

/** ms of a duration, `MAX_MS` at most; 0 for none, and for one that is negative. */
export function msOf(duration: Duration | undefined): number {
  if (duration === undefined) return 0;
  return Math.max(0, Math.min(MAX_MS, Number(duration.seconds) * 1_000 + duration.nanos / 1_000_000));
}

/**
 * A share that can be reckoned with, else the fallback: nothing is less than no number, and so it would lift every
 * bound.
 */
export function shareOf(told: number, fallback: number): number {
  return Number.isFinite(told) && told >= 0 ? told : fallback;
}

/** Name of the object, or the kind of the default. */
export function nameOf(metadata: Metadata | undefined): string {
  const kind = metadata?.kind;
  if (kind?.case === 'resource') return kind.value.name;
  return kind?.case === 'default' ? kind.value : 'default';
}
