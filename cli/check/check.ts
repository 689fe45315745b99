import type { Facts } from './facts.ts';

/** What one check came to. A warning does not fail the command; Linkerd's rule. */
export type Verdict = { result: 'success' } | { result: 'warning' | 'error'; message: string };

/** Linkerd's categories, in the order in which they are printed. */
export type Category =
  | 'kubernetes-api'
  | 'kubernetes-version'
  | 'pre-kubernetes-setup'
  | 'isthmus-existence'
  | 'isthmus-config'
  | 'isthmus-identity'
  | 'isthmus-webhooks-and-apisvc-tls'
  | 'isthmus-version'
  | 'control-plane-version'
  | 'isthmus-ha-checks'
  | 'isthmus-data-plane'
  | 'isthmus-identity-data-plane'
  | 'isthmus-multicluster';

/** In which runs a check takes part. */
export type Stage =
  /** Before and after an installation. */
  | 'always'
  /** With `--pre` alone. */
  | 'pre'
  /** After an installation. */
  | 'installed'
  /** With `--proxy` alone. */
  | 'proxy';

/** One line of `isthmus check`. */
export interface Check {
  /** Heading in `docs/checks.md`, where cause and cure stand. Never changes: scripts know it. */
  id: string;
  category: Category;
  stage: Stage;
  description: string;
  /** When it fails nothing behind it makes sense, and the run ends. */
  fatal?: true;
  /** Ids of checks before it without which it makes no sense: it is left out when one of them fails. */
  needs?: readonly string[];
  /** What is wrong may mend itself: it is tried again until the time of `--wait` is over. */
  waits?: true;
  /** A `KubernetesError` or `UserError` that it throws is its failure. */
  run(facts: Facts): Promise<Verdict> | Verdict;
}

/** Nothing is wrong. */
export const ok: Verdict = { result: 'success' };

/** Something does not work. */
export function error(message: string): Verdict {
  return { result: 'error', message };
}

/** Something works, and will not for long or not as it should. */
export function warning(message: string): Verdict {
  return { result: 'warning', message };
}

/** More than this of one kind helps nobody to find the cause. */
const MAX_LISTED = 8;

/** `head`, and below it what it is true of. */
export function listed(head: string, items: readonly string[]): string {
  const shown = items.slice(0, MAX_LISTED).map((item) => `* ${item}`);
  const rest = items.length - shown.length;
  return [`${head}:`, ...shown, ...(rest > 0 ? [`* and ${rest} more`] : [])].join('\n');
}

/** Well when nothing is listed. */
export function none(result: 'warning' | 'error', head: string, items: readonly string[]): Verdict {
  return items.length === 0 ? ok : { result, message: listed(head, items) };
}

/** The errors of many verdicts, or else their warnings, as one. */
export function worst(head: string, verdicts: readonly Verdict[]): Verdict {
  for (const result of ['error', 'warning'] as const) {
    const messages = verdicts.flatMap((verdict) => (verdict.result === result ? [verdict.message] : []));
    if (messages.length > 0)
      return { result, message: messages.length === 1 ? messages.join('') : listed(head, messages) };
  }
  return ok;
}
