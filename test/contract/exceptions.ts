import { serverKind } from '../testing/api-server.ts';
import { compactCommand, restartCommand } from './server.ts';

/** What is not asked of one of the two kinds of server, and why. Everything else must be alike. */
interface Exception {
  theme: string;
  /** Every scenario of the theme when absent. */
  scenario?: string;
  server: 'embedded' | 'real';
  reason: string;
  /** Holds only when this does. */
  when?: () => boolean;
}

const exceptions: readonly Exception[] = [
  {
    theme: 'restart',
    server: 'real',
    reason:
      'nobody said how this server is restarted and compacted ($CONTRACT_RESTART, $CONTRACT_COMPACT: shell commands)',
    when: () => restartCommand === '' || compactCommand === '',
  },
];

/** Why a scenario is not asked of this server; undefined when it is. */
export function skipped(theme: string, scenario: string): string | undefined {
  return exceptions.find(
    (entry) =>
      entry.theme === theme &&
      (entry.scenario ?? scenario) === scenario &&
      entry.server === serverKind &&
      (entry.when?.() ?? true),
  )?.reason;
}
