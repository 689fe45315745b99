import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import fc from 'fast-check';
import { temporaryDir } from '../testing/running-cluster.ts';
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
  const dir = await temporaryDir({ after: (work) => t.after(work) });
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
  const dir = await temporaryDir({ after: (work) => t.after(work) });
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
  const dir = await temporaryDir({ after: (work) => t.after(work) });
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
  const dir = await temporaryDir({ after: (work) => t.after(work) });
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
