import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import fc from 'fast-check';
import { temporaryFolder } from '../../test/testing/cleaner.ts';
import { LogWriter, rotatedPath } from './log-file.ts';
import { readLogLines } from './log-reader.ts';
import type { LogSelection } from './log-reader.ts';

const NOW = Date.UTC(2030, 0, 1);

async function text(path: string, selection: LogSelection = {}, now = NOW): Promise<string> {
  let all = '';
  for await (const line of readLogLines(path, selection, { now })) all += line;
  return all;
}

await it('gives back what was written, however it was cut into pieces', async (t) => {
  const dir = await temporaryFolder(t);
  let file = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.stringMatching(/^[a-z ]{0,30}$/), { maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 10 }),
      async (lines, cuts) => {
        file += 1;
        const log = new LogWriter(join(dir, `${file}.log`), { now: () => NOW });
        const whole = lines.map((line) => `${line}\n`).join('');
        let at = 0;
        for (let i = 0; at < whole.length; i += 1) {
          const size = cuts[i % cuts.length] ?? 1;
          log.write('stdout', Buffer.from(whole.slice(at, at + size)));
          at += size;
        }
        log.close();
        assert.equal(await text(log.path), whole);
      },
    ),
    { numRuns: 50 },
  );
});

await it('has the CRI format, cuts long lines into parts and puts them together again', async (t) => {
  const dir = await temporaryFolder(t);
  const log = new LogWriter(join(dir, 'a.log'), { now: () => NOW });
  log.write('stderr', Buffer.from('hm\n'));
  log.write('stdout', Buffer.from(`${'x'.repeat(20_000)}\nno end`));
  log.close();
  const [first = '', second = '', third = ''] = readFileSync(log.path, 'utf8').split('\n');
  assert.equal(first, '2030-01-01T00:00:00.000000000Z stderr F hm');
  assert.match(second, /stdout P x+$/);
  assert.match(third, /stdout F x+$/);
  assert.equal(await text(log.path), `hm\n${'x'.repeat(20_000)}\nno end\n`);
});

await it('selects by tail, time and size', async (t) => {
  const dir = await temporaryFolder(t);
  let now = NOW;
  const log = new LogWriter(join(dir, 'a.log'), { now: () => now });
  for (let i = 0; i < 5; i += 1) {
    log.write('stdout', Buffer.from(`line ${i}\n`));
    now += 10_000;
  }
  log.close();
  assert.equal(await text(log.path, { tailLines: 2 }), 'line 3\nline 4\n');
  assert.equal(await text(log.path, { tailLines: 0 }), '');
  assert.equal(await text(log.path, { sinceSeconds: 20 }, now), 'line 3\nline 4\n');
  assert.equal(await text(log.path, { limitBytes: 10 }), 'line 0\nlin');
  assert.match(
    await text(log.path, { timestamps: true, tailLines: 1 }),
    /^2030-01-01T00:00:40\.000000000Z line 4\n$/,
  );
});

await it('loses output rather than the container when the disk is full', () => {
  const log = new LogWriter('/dev/full', { now: () => NOW });
  log.write('stdout', Buffer.from('nobody will read this\n'));
  log.close();
  assert.equal(log.closed, true);
});

await it('never takes more than two files of its limit, and follows over the rotation to the end', async (t) => {
  const dir = await temporaryFolder(t);
  const log = new LogWriter(join(dir, 'a.log'), { now: () => NOW, maxBytes: 2000 });
  log.write('stdout', Buffer.from('start\n'));
  const seen: string[] = [];
  const reading = (async () => {
    for await (const line of readLogLines(log.path, { follow: true }, { now: NOW, writer: log })) {
      seen.push(line);
      const next = seen.length;
      if (next === 200) log.close();
      else log.write('stdout', Buffer.from(`${next}\n`));
    }
  })();
  await reading;
  assert.equal(seen.length, 200);
  assert.equal(seen.at(-1), '199\n');
  assert.ok(statSync(log.path).size <= 2000 && statSync(rotatedPath(log.path)).size <= 2000);
});

await it('follows over any number of rotations between two reads', async (t) => {
  const dir = await temporaryFolder(t);
  const log = new LogWriter(join(dir, 'a.log'), { now: () => NOW, maxBytes: 2000 });
  const follow = (selection: LogSelection): AsyncGenerator<string> =>
    readLogLines(log.path, { follow: true, ...selection }, { now: NOW, writer: log });
  let written = 0;
  const write = (count: number): void => {
    for (let i = 0; i < count; i += 1) {
      log.write('stdout', Buffer.from(`${written}\n`));
      written += 1;
    }
  };
  write(60);
  const whole = follow({});
  const tail = follow({ tailLines: 2 });
  const first = await whole.next();
  assert.equal(first.value, '0\n');
  assert.equal((await tail.next()).value, '58\n');
  // About 45 lines make a file: four rotations, none of which the followers see before the next.
  write(180);
  log.close();
  const rest: string[] = [];
  for await (const line of whole) rest.push(line);
  assert.deepEqual(
    rest,
    Array.from({ length: written - 1 }, (_, i) => `${i + 1}\n`),
  );
  rest.length = 0;
  for await (const line of tail) rest.push(line);
  assert.deepEqual(
    rest,
    Array.from({ length: written - 59 }, (_, i) => `${i + 59}\n`),
  );
});

await it('keeps no more than some files for a follower that does not read', async (t) => {
  const dir = await temporaryFolder(t);
  const log = new LogWriter(join(dir, 'a.log'), { now: () => NOW, maxBytes: 200 });
  log.write('stdout', Buffer.from('start\n'));
  const lagging = readLogLines(log.path, { follow: true }, { now: NOW, writer: log });
  assert.equal((await lagging.next()).value, 'start\n');
  const held = (): number =>
    readdirSync('/proc/self/fd').filter((fd) => linkOf(fd).startsWith(log.path)).length;
  for (let i = 0; i < 200; i += 1) log.write('stdout', Buffer.from(`${'x'.repeat(100)}\n`));
  assert.ok(held() <= 7, `${held()} descriptors`);
  await lagging.return(undefined);
  log.close();
  assert.equal(held(), 0);
});

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

await it('writes whole lines or none when there is no more room', async (t) => {
  const dir = await temporaryFolder(t);
  const path = join(dir, 'a.log');
  const script = `
    const { LogWriter } = await import(${JSON.stringify(new URL('log-file.ts', import.meta.url).href)});
    const log = new LogWriter(process.argv[1], { now: () => 0 });
    for (let i = 0; i < 200; i += 1) log.write('stdout', Buffer.from(i + 'x'.repeat(60) + '\\n'));
    log.close();`;
  // No file may pass 8 blocks, whatever the shell takes for a block: for the writer that is a disk without room.
  const shell = 'trap "" XFSZ; ulimit -f 8; exec "$@"';
  const { status, stderr } = spawnSync(
    '/bin/sh',
    ['-c', shell, 'sh', process.execPath, '--input-type=module', '-e', script, path],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
  const kept = readFileSync(path, 'utf8');
  assert.ok(kept.length > 3000 && kept.length <= 8192);
  assert.match(kept, /^(\S+ stdout F \d+x{60}\n)+$/);
});

await it('takes a flood of short lines within its two files', async (t) => {
  const dir = await temporaryFolder(t);
  const maxBytes = 200_000;
  const log = new LogWriter(join(dir, 'a.log'), { now: () => NOW, maxBytes });
  // Short lines grow twentyfold: two such chunks fill a file.
  const chunk = Buffer.from('y\n'.repeat(2000));
  for (let i = 0; i < 60; i += 1) log.write('stdout', chunk);
  log.close();
  for (const path of [log.path, rotatedPath(log.path)]) assert.ok(statSync(path).size <= maxBytes, path);
  assert.equal(await text(log.path, { tailLines: 3 }), 'y\ny\ny\n');
});

await it('begins at a time', async (t) => {
  const dir = await temporaryFolder(t);
  let now = NOW;
  const log = new LogWriter(join(dir, 'a.log'), { now: () => now });
  for (let i = 0; i < 3; i += 1) {
    log.write('stdout', Buffer.from(`line ${i}\n`));
    now += 10_000;
  }
  log.close();
  assert.equal(await text(log.path, { sinceTime: '2030-01-01T01:00:10+01:00' }), 'line 1\nline 2\n');
});
