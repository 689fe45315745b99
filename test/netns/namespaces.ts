import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

const NAMES = '/run/netns';
const PREFIX = 'isthmus-test-';

/** A network namespace with an interface `eth0` on the test's own network. */
export interface Namespace {
  readonly name: string;
  readonly ip4: string;
  readonly ip6: string;
  /** Words before a command that make it run there. */
  readonly exec: readonly string[];
}

/** Why network namespaces cannot be tested here; undefined: they can. */
export function missing(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  for (const program of ['ip', 'setpriv'])
    if (!works(program, ['--version'], ['-V'])) return `needs the program ${program}`;
  if (!works('nft', ['--version']) && !works('iptables', ['--version'])) return 'needs nft or iptables';
  const probe = `${PREFIX}${process.pid}-probe`;
  const made = spawnSync('ip', ['netns', 'add', probe]).status === 0;
  spawnSync('ip', ['netns', 'delete', probe]);
  return made ? undefined : 'the kernel gives no network namespaces';
}

/** Does the program end well with one of the argument lists? */
export function works(program: string, ...tries: readonly string[][]): boolean {
  return tries.some((args) => spawnSync(program, args).status === 0);
}

/**
 * As many namespaces as are asked for, on a bridge in a namespace of its own, or each with a TUN device that a test
 * joins to the others (`wire/`). Nothing leads out of them: what happens in there is seen by nobody else. `close`
 * removes all of it, with what runs away still held by processes that live.
 */
export class TestNetwork {
  readonly #names: string[] = [];
  /** Of the bridge; undefined: there is none. */
  readonly #node: string | undefined;

  constructor(joined: 'bridge' | 'tun' = 'bridge') {
    removeStale();
    if (joined === 'tun') return;
    this.#node = this.#create('node');
    ip(['-n', this.#node, 'link', 'add', 'br0', 'type', 'bridge']);
    ip(['-n', this.#node, 'link', 'set', 'br0', 'up']);
  }

  /** @param host last part of its addresses, from 2 to 254 */
  namespace(role: string, host: number): Namespace {
    const name = this.#create(role);
    const ip4 = `10.77.0.${host}`;
    const ip6 = `fd77::${host.toString(16)}`;
    this.#join(name, `veth${host}`);
    ip(['-n', name, 'addr', 'add', `${ip4}/24`, 'dev', 'eth0']);
    // Without duplicate detection, so that the address is there at once.
    ip(['-n', name, 'addr', 'add', `${ip6}/64`, 'dev', 'eth0', 'nodad']);
    for (const device of ['lo', 'eth0']) ip(['-n', name, 'link', 'set', device, 'up']);
    // Addresses of services lead out of the pod, as in a cluster; what is not redirected ends there.
    ip(['-n', name, 'route', 'add', 'default', 'dev', 'eth0']);
    ip(['-n', name, '-6', 'route', 'add', 'default', 'dev', 'eth0']);
    return { name, ip4, ip6, exec: ['ip', 'netns', 'exec', name] };
  }

  #join(name: string, port: string): void {
    const node = this.#node;
    if (node === undefined) return ip(['-n', name, 'tuntap', 'add', 'dev', 'eth0', 'mode', 'tun']);
    ip(['-n', node, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name]);
    ip(['-n', node, 'link', 'set', port, 'master', 'br0', 'up']);
  }

  close(): void {
    for (const name of this.#names) spawnSync('ip', ['netns', 'delete', name]);
  }

  #create(role: string): string {
    const name = `${PREFIX}${process.pid}-${role}`;
    ip(['netns', 'add', name]);
    this.#names.push(name);
    return name;
  }
}

/** What a test has left that was killed. */
function removeStale(): void {
  let names: string[] = [];
  try {
    names = readdirSync(NAMES);
  } catch {
    // No namespace has ever been made here.
  }
  for (const name of names) {
    const pid = Number(new RegExp(`^${PREFIX}([0-9]+)-`).exec(name)?.[1]);
    if (pid > 0 && pid !== process.pid && !isAlive(pid)) spawnSync('ip', ['netns', 'delete', name]);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function ip(args: readonly string[]): void {
  const done = spawnSync('ip', args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`ip ${args.join(' ')}: ${done.stderr}`);
}
