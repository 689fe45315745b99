/**
 * `npm run soak -- [--for 10m]`: sidecars and a gateway as processes under mixed load: HTTP/1.1, HTTP/2, gRPC, Upgrade,
 * streams that are given up, readers that rest, requests that break off, endpoints that come and go, certificates that
 * are renewed every minute. A table every ten seconds. Fails when a request fails that should not, when memory grows,
 * or when connections and handles are left over at the end.
 */
import { startPodApp } from '../processes/apps.ts';
import { http1Load, http2Load, type Load } from '../processes/load.ts';
import { Parts, type Part } from '../processes/parts.ts';
import { readOptions, refuse } from '../testing/command-line.ts';
import { brokenLoad, grpcLoad, resetLoad, slowLoad, upgradeLoad } from './loads.ts';
import { leaks, type Sample } from './verdict.ts';

const H1 = 'web.shop:80';
const H2 = 'rpc.shop:80';
const EXPORTED = 'web.shop.svc.cluster.local:80';
/** ms. */
const LEAF_MS = 60_000;
const LOOK_MS = 10_000;
const CHANGE_MS = 3_000;
/** Of the load before the first look at rest: pools are filled, code is compiled, and certificates were renewed once (after 70 % of `LEAF_MS`). */
const WARM_UP_MS = 50_000;
/** For what is under way, and for the longest of what a closed connection waits for. */
const REST_MS = 6_000;

const USAGE = `usage: npm run soak -- [options]
  --for TIME  of load, as 90s or 10m; default: 10m
`;

const values = readOptions(USAGE, { for: { type: 'string', default: '10m' } });
const match = /^([1-9]\d*)([sm])$/.exec(values.for) ?? refuse(`--for ${values.for}: write 90s or 10m`, USAGE);
const totalMs = Number(match[1]) * (match[2] === 'm' ? 60_000 : 1_000);

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const say = (line: string): boolean => process.stdout.write(`${line}\n`);

const parts = await Parts.create(LEAF_MS);
const server = await parts.start({ name: 'server' });
const other = await parts.start({ name: 'other' });
const [app, otherApp] = [await startPodApp(server.ip), await startPodApp(other.ip)];
const web = [server.endpoint(app.http1Port), other.endpoint(otherApp.http1Port)];
const rpc = [server.endpoint(app.http2Port), other.endpoint(otherApp.http2Port)];
const gateway = await parts.start({
  name: 'gateway',
  part: 'gateway',
  exports: [{ namespace: 'shop', name: 'web', ports: [80] }],
  services: { [EXPORTED]: web },
});
const client = await parts.start({ name: 'client', services: { [H1]: web, [H2]: rpc } });
const foreign = await parts.start({
  name: 'client',
  clusterId: 'west',
  services: { [H1]: [gateway.mirrorOf(EXPORTED)] },
});
const processes: readonly (readonly [string, Part])[] = [
  ['client', client],
  ['server', server],
  ['gateway', gateway],
  ['foreign', foreign],
];

function startLoads(): Readonly<Record<string, Load>> {
  return {
    http1: http1Load(() => client.ip, `http://${H1}/`, 8, true, 10),
    http2: http2Load(() => client.ip, H2, 4, 10),
    grpc: grpcLoad(client.ip, H2, 2, 50),
    reset: resetLoad(client.ip, H2, 2, 100),
    slow: slowLoad(client.ip, H1, 4, 1_500),
    upgrade: upgradeLoad(client.ip, H1, 2, 100),
    broken: brokenLoad(client.ip, H1, 2, 100),
    gateway: http1Load(() => foreign.ip, `http://${H1}/`, 4, true, 20),
    'gateway slow': slowLoad(foreign.ip, H1, 2, 1_500),
  };
}

/** Runs the load for a while. @returns the samples by process, and what failed */
async function play(
  ms: number,
  shows: boolean,
): Promise<{ samples: Map<string, Sample[]>; failed: string[] }> {
  const loads = startLoads();
  const samples = new Map<string, Sample[]>(processes.map(([name]) => [name, []]));
  let isWhole = true;
  const change = setInterval(() => {
    isWhole = !isWhole;
    const pick = <T>(list: readonly T[]): T[] => (isWhole ? [...list] : list.slice(0, 1));
    client.tell(H1, pick(web));
    client.tell(H2, pick(rpc));
    gateway.tell(EXPORTED, pick(web));
  }, CHANGE_MS);
  const began = performance.now();
  for (let left = ms; left > 0; left = ms - (performance.now() - began)) {
    await pause(Math.min(LOOK_MS, left));
    const at = Math.round((performance.now() - began) / 1_000);
    for (const [name, part] of processes) {
      const look = await part.look();
      samples.get(name)?.push({ at, look });
      if (shows) say(row(at, name, look.rss, look.heap + look.external, look.descriptors, look.certificates));
    }
    if (shows) say(`${String(at).padStart(5)} s  ${counted(loads)}`);
  }
  clearInterval(change);
  await Promise.all(Object.values(loads).map((load) => load.stop()));
  const failed = Object.entries(loads).flatMap(([name, { counts }]) =>
    counts.failed.length === 0
      ? []
      : [`${name}: ${counts.failed.length} of ${counts.sent} failed: ${counts.failed[0]}`],
  );
  return { samples, failed };
}

function row(
  at: number,
  name: string,
  rss: number,
  heap: number,
  descriptors: number,
  certificates: number,
): string {
  const mib = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1).padStart(6);
  return `${String(at).padStart(5)} s  ${name.padEnd(8)} rss ${mib(rss)} MiB  heap ${mib(heap)} MiB  descriptors ${String(descriptors).padStart(3)}  certificates ${certificates}`;
}

function counted(loads: Readonly<Record<string, Load>>): string {
  return Object.entries(loads)
    .map(
      ([name, { counts }]) =>
        `${name} ${counts.answered}${counts.failed.length > 0 ? ` (${counts.failed.length} failed)` : ''}`,
    )
    .join('  ');
}

async function lookAtRest(): Promise<Map<string, Awaited<ReturnType<Part['look']>>>> {
  await pause(REST_MS);
  return new Map(
    await Promise.all(processes.map(async ([name, part]) => [name, await part.look()] as const)),
  );
}

const warmedUp = await play(Math.min(WARM_UP_MS, totalMs), false);
const before = await lookAtRest();
const { samples, failed } = await play(totalMs, true);
const after = await lookAtRest();
const problems = [...warmedUp.failed, ...failed];
for (const [name] of processes) {
  const [first, last] = [before.get(name), after.get(name)];
  if (first === undefined || last === undefined) continue;
  problems.push(...leaks(first, samples.get(name) ?? [], last).map((leak) => `${name}: ${leak}`));
  say(
    row(
      0,
      `${name} at rest, before`,
      first.rss,
      first.heap + first.external,
      first.descriptors,
      first.certificates,
    ),
  );
  say(
    row(
      0,
      `${name} at rest, after`,
      last.rss,
      last.heap + last.external,
      last.descriptors,
      last.certificates,
    ),
  );
}
await parts.close();
for (const one of [app, otherApp]) one.close();
for (const problem of problems) say(`× ${problem}`);
say(
  problems.length === 0
    ? '√ nothing failed, nothing grew, nothing is left over'
    : `× ${problems.length} problems`,
);
process.exitCode = problems.length === 0 ? 0 : 1;
