import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { iptablesRules, JUMPS } from './iptables.ts';
import { nftablesRules } from './nftables.ts';
import type { RedirectPlan } from './plan.ts';

/** What a program said. `code` is undefined where it could not be run. */
export interface Ran {
  readonly code: number | undefined;
  readonly output: string;
}

/** Runs a program to its end with text on its standard input. */
export type Run = (program: string, args: readonly string[], input: string) => Ran;

/** ms; a program that waits for a lock that nobody gives back must not hold the pod's start for ever. */
const PROGRAM_TIMEOUT_MS = 30_000;
/** Seconds that iptables waits for its lock. */
const LOCK_SECONDS = 10;

interface Way {
  readonly name: string;
  /** Sets the rules; what went wrong, or undefined. */
  readonly apply: (plan: RedirectPlan, run: Run, ipv6: boolean) => string | undefined;
}

/** Tools in the order in which they are tried: the first that this kernel and this image have sets all rules. */
const WAYS: readonly Way[] = [
  { name: 'nftables', apply: applyNftables },
  { name: 'iptables', apply: (plan, run, ipv6) => applyIptables(plan, run, ipv6, 'tables') },
  { name: 'iptables-legacy', apply: (plan, run, ipv6) => applyIptables(plan, run, ipv6, 'tables-legacy') },
];

/**
 * Sets the rules in this process's network namespace. Running it again leaves the same rules. Throws an error with what each tool said when none could.
 * @returns the name of the tool that did it
 */
export function applyRedirect(plan: RedirectPlan, run: Run = runProgram, ipv6: boolean = hasIpv6()): string {
  const failures: string[] = [];
  for (const { name, apply } of WAYS) {
    const failure = apply(plan, run, ipv6);
    if (failure === undefined) return name;
    failures.push(`${name}: ${failure}`);
  }
  throw new Error(
    `the rules that redirect the pod's connections could not be set:\n  ${failures.join('\n  ')}\n` +
      'This container needs the capability NET_ADMIN, and a kernel with nf_tables NAT or iptables NAT.',
  );
}

function applyNftables(plan: RedirectPlan, run: Run): string | undefined {
  return failureOf(run('nft', ['-f', '-'], nftablesRules(plan)));
}

function applyIptables(plan: RedirectPlan, run: Run, ipv6: boolean, suffix: string): string | undefined {
  for (const family of ipv6 ? ([4, 6] as const) : ([4] as const)) {
    const program = `${family === 4 ? 'ip' : 'ip6'}${suffix}`;
    const wait = ['-w', String(LOCK_SECONDS)];
    const missing = JUMPS.filter(
      (jump) => run(program, [...wait, '-t', 'nat', '-C', ...jump], '').code !== 0,
    );
    const rules = iptablesRules(plan, family, missing);
    const failure = failureOf(run(`${program}-restore`, [...wait, '--noflush'], rules));
    if (failure !== undefined) return failure;
  }
  return undefined;
}

function failureOf({ code, output }: Ran): string | undefined {
  if (code === 0) return undefined;
  return output.trim() || `it ended with ${code ?? 'a signal'}`;
}

/** A kernel without IPv6 has no table to put rules into. */
function hasIpv6(): boolean {
  return existsSync('/proc/net/if_inet6');
}

function runProgram(program: string, args: readonly string[], input: string): Ran {
  const done = spawnSync(program, args, { input, encoding: 'utf8', timeout: PROGRAM_TIMEOUT_MS });
  if (done.error !== undefined) return { code: undefined, output: done.error.message };
  return { code: done.status ?? undefined, output: done.stderr + done.stdout };
}
