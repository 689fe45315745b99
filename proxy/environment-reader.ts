import { isIP } from 'node:net';
import { silentLog } from '../log/index.ts';
import {
  splitHostPort,
  workloadIdentityOptionsFromEnv,
  type WorkloadIdentityOptions,
} from '../workload-identity/index.ts';
import { type AddressBlock, parseBlock } from './policy/address-block.ts';

/** The configuration cannot be used. Says for each variable what it must be. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`the configuration is not usable:\n  ${problems.join('\n  ')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

const MAX_PORT = 65_535;
/** A day: who waits longer has made a mistake, or means "for ever". */
const MAX_TIME_MS = 86_400_000;

/** Reads variables, and keeps what is wrong with them until the end, so that a person sees all at once. */
export class EnvironmentReader {
  readonly #env: NodeJS.ProcessEnv;
  readonly #problems: string[] = [];

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  /** Throws `ConfigError` where anything was wrong. */
  finish(): void {
    if (this.#problems.length > 0) throw new ConfigError(this.#problems);
  }

  /** The value; without a fallback it must be set. */
  text(variable: string, fallback?: string): string {
    const value = this.#env[variable];
    if (value !== undefined && value !== '') return value;
    if (fallback === undefined) this.#problems.push(`${variable} is not set: the injector sets it`);
    return fallback ?? '';
  }

  identity(): Omit<WorkloadIdentityOptions, 'logger'> | undefined {
    // What is missing in the names has been told by then.
    if (this.#problems.length > 0) return undefined;
    try {
      // Reading the environment logs nothing; the process's logger takes its place when the identity is made.
      return workloadIdentityOptionsFromEnv(this.#env, { logger: silentLog });
    } catch (error) {
      this.#problems.push((error as Error).message);
      return undefined;
    }
  }

  address(variable: string): string {
    const value = this.text(variable);
    if (value !== '' && isIP(value) === 0) this.#wrong(variable, value, 'an IP address');
    return value;
  }

  hostPort(variable: string, fallback: string): string {
    const value = this.text(variable, fallback);
    try {
      splitHostPort(value);
    } catch {
      this.#wrong(variable, value, 'host:port');
    }
    return value;
  }

  seconds(variable: string, fallback: number): number {
    const value = this.text(variable, String(fallback));
    const seconds = Number(value);
    if (Number.isFinite(seconds) && seconds >= 0) return seconds;
    this.#wrong(variable, value, 'a number of seconds, 0 or more');
    return fallback;
  }

  share(variable: string, fallback: number): number {
    const value = this.text(variable, String(fallback));
    const share = Number(value);
    if (/^[0-9.]+$/.test(value) && share >= 0 && share <= 1) return share;
    this.#wrong(variable, value, 'a number from 0 to 1');
    return fallback;
  }

  /** `namespace/name`; undefined where it is not set. */
  serviceAccount(variable: string): { namespace: string; serviceAccount: string } | undefined {
    const value = this.text(variable, '');
    if (value === '') return undefined;
    const [namespace = '', serviceAccount = '', ...rest] = value.split('/');
    if (namespace !== '' && serviceAccount !== '' && rest.length === 0) return { namespace, serviceAccount };
    this.#wrong(variable, value, 'namespace/serviceaccount');
    return undefined;
  }

  milliseconds(variable: string, fallback: number): number {
    return this.#whole(variable, fallback, MAX_TIME_MS, `a number of milliseconds from 1 to ${MAX_TIME_MS}`);
  }

  /** 0: without end, which is the longest time that there is. */
  millisecondsOrNone(variable: string, fallback: number): number {
    return this.text(variable, '') === '0' ? MAX_TIME_MS : this.milliseconds(variable, fallback);
  }

  port(variable: string, fallback: number): number {
    return this.#whole(variable, fallback, MAX_PORT, 'a port');
  }

  oneOf<T extends string>(variable: string, allowed: readonly T[], fallback: T): T {
    const value = this.text(variable, fallback);
    const found = allowed.find((one) => one === value);
    if (found === undefined) this.#wrong(variable, value, `one of ${allowed.join(', ')}`);
    return found ?? fallback;
  }

  blocks(variable: string, fallback: string): AddressBlock[] {
    const blocks: AddressBlock[] = [];
    for (const part of this.#list(variable, fallback)) {
      const block = parseBlock(part);
      if (block === undefined) this.#wrong(variable, part, 'a list of address blocks such as 10.0.0.0/8');
      else blocks.push(block);
    }
    return blocks;
  }

  ports(variable: string, fallback: readonly number[]): Set<number> {
    const ports = new Set<number>();
    for (const part of this.#list(variable, fallback.join(','))) {
      const [from = Number.NaN, to = from] = part.split('-').map(Number);
      const isRange =
        Number.isInteger(from) && Number.isInteger(to) && from > 0 && to <= MAX_PORT && from <= to;
      if (!isRange) this.#wrong(variable, part, 'a list of ports and ranges such as 25,3306-3310');
      else for (let port = from; port <= to; port++) ports.add(port);
    }
    return ports;
  }

  /** Entries of a port and a path, apart by blanks. */
  probes(variable: string): Map<number, string[]> {
    const probes = new Map<number, string[]>();
    for (const entry of this.text(variable, '').split(' ')) {
      if (entry === '') continue;
      const slash = entry.indexOf('/');
      const at = Number(entry.slice(0, Math.max(0, slash)));
      if (!Number.isInteger(at) || at < 1 || at > MAX_PORT)
        this.#wrong(variable, entry, 'a list of ports with paths such as 8080/healthz');
      else probes.set(at, [...(probes.get(at) ?? []), entry.slice(slash)]);
    }
    return probes;
  }

  #list(variable: string, fallback: string): string[] {
    return this.text(variable, fallback)
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
  }

  #whole(variable: string, fallback: number, most: number, must: string): number {
    const value = this.text(variable, String(fallback));
    const number = Number(value);
    if (/^[0-9]+$/.test(value) && number >= 1 && number <= most) return number;
    this.#wrong(variable, value, must);
    return fallback;
  }

  #wrong(variable: string, value: string, must: string): void {
    this.#problems.push(`${variable} is "${value}": it must be ${must}`);
  }
}
