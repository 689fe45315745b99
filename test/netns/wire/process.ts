/**
 * A wire between network namespaces, in user space: it reads what one end's TUN device sends, asks the links of both
 * ends what becomes of it, and writes it to the other's. Argument: the seed of what happens by chance.
 */
import { closeSync, openSync, read, writeSync } from 'node:fs';
import koffi from 'koffi';
import { Link, SOUND } from './link.ts';
import type { Answered, Asked, ToWire } from './messages.ts';
import { destinationOf } from './packet.ts';

/** linux/if_tun.h: a device of packets without a header of its own. */
const TUNSETIFF = 0x400454ca;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
/** Bytes of `struct ifreq`, and where its flags stand. */
const IFREQ = 40;
const IFREQ_FLAGS = 16;
/** linux/sched.h */
const CLONE_NEWNET = 0x40000000;
/** Longer than any packet. */
const PACKET_BYTES = 65_536;

interface End {
  readonly fd: number;
  readonly link: Link;
  dropped: (() => void)[];
}

const libc = koffi.load(null);
const setns = libc.func('int setns(int, int)') as (fd: number, kind: number) => number;
const ioctl = libc.func('int ioctl(int, unsigned long, void *)') as (
  fd: number,
  request: number,
  argument: Buffer,
) => number;
const ends = new Map<string, End>();
const random = seeded(Number(process.argv[2]));

process.on('message', (asked: Asked) => void answer(asked));
// Threads that wait for packets would keep it from an end of its own.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

async function answer({ number, task }: Asked): Promise<void> {
  const { link } = await run(task);
  process.send?.({ number, counts: link.counts } satisfies Answered);
}

async function run(task: ToWire): Promise<End> {
  if (task.do === 'attach') return attach(task.address, task.namespace, task.device);
  const end = ends.get(task.address);
  if (end === undefined) throw new Error(`the wire has no end ${task.address}`);
  if (task.do === 'set') end.link.faults = { ...SOUND, ...task.faults };
  else if (task.do === 'lose') end.link.lose();
  else if (task.do === 'reset') for (const packet of end.link.resets()) deliver(packet);
  else if (task.do === 'until-dropped') await new Promise<void>((resolve) => end.dropped.push(resolve));
  return end;
}

function attach(address: string, namespace: string, device: string): End {
  const end: End = { fd: within(namespace, () => openTun(device)), link: new Link(random), dropped: [] };
  ends.set(address, end);
  receive(end, Buffer.alloc(PACKET_BYTES));
  return end;
}

/** Does something in another network namespace: the thread that opens a device decides where it is. */
function within<T>(namespace: string, act: () => T): T {
  const [own, other] = [openSync('/proc/self/ns/net', 'r'), openSync(`/run/netns/${namespace}`, 'r')];
  try {
    if (setns(other, CLONE_NEWNET) !== 0) throw new Error(`the namespace ${namespace} cannot be entered`);
    return act();
  } finally {
    setns(own, CLONE_NEWNET);
    closeSync(own);
    closeSync(other);
  }
}

function openTun(device: string): number {
  const fd = openSync('/dev/net/tun', 'r+');
  const asked = Buffer.alloc(IFREQ);
  asked.write(device, 'latin1');
  asked.writeUInt16LE(IFF_TUN | IFF_NO_PI, IFREQ_FLAGS);
  if (ioctl(fd, TUNSETIFF, asked) !== 0) throw new Error(`the TUN device ${device} cannot be taken up`);
  return fd;
}

function receive(end: End, buffer: Buffer): void {
  read(end.fd, buffer, 0, buffer.length, null, (error, length) => {
    // Its namespace is gone.
    if (error !== null) return;
    send(end, Buffer.from(buffer.subarray(0, length)));
    receive(end, buffer);
  });
}

function send(from: End, packet: Buffer): void {
  const to = ends.get(destinationOf(packet) ?? '');
  if (to === undefined) return;
  let ms = 0;
  for (const [end, goes] of [
    [from, 'from'],
    [to, 'to'],
  ] as const) {
    const fate = end.link.judge(packet, goes);
    if (fate === 'dropped') {
      for (const tell of end.dropped.splice(0)) tell();
      return;
    }
    ms += fate;
  }
  if (ms === 0) deliver(packet);
  else setTimeout(() => deliver(packet), ms);
}

function deliver(packet: Buffer): void {
  const to = ends.get(destinationOf(packet) ?? '');
  try {
    if (to !== undefined) writeSync(to.fd, packet);
  } catch (error) {
    // The device is down: its packets are lost, as on any wire.
    if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
  }
}

/** Numbers in [0, 1) that are the same for the same seed (xorshift, 32 bits). */
function seeded(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
