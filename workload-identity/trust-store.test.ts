import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { silentLog } from '../log/index.ts';
import { makeAnchor, makeIssuer, makeLeaf, workload } from './testing/test-ca.ts';
import { parseAnchors, parseAnchorsPem } from './anchors.ts';
import { TrustStore } from './trust-store.ts';

const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => makeAnchor(name)));
assert.ok(a !== undefined && b !== undefined && c !== undefined);
const all = [a, b, c];
const dir = await mkdtemp(join(tmpdir(), 'trust-store-'));
const file = join(dir, 'ca-bundle.crt');
after(() => rm(dir, { recursive: true }));

function newStore(changed: () => void = () => {}): TrustStore {
  return new TrustStore({ file, logger: silentLog, changed });
}

function inUse(store: TrustStore): string {
  const subjects = store.snapshot?.anchors.map((anchor) => anchor.subject.replace('CN=', ''));
  return (subjects ?? []).sort().join('');
}

test('the file is not listened to while the stream is connected, and is again when it is not', async () => {
  const store = newStore();
  await writeFile(file, a.pem);
  store.readFile();
  store.streamLive = true;
  store.applyBundle(5n, [a.x509.raw, b.x509.raw]);
  await writeFile(file, c.pem);
  store.readFile();
  assert.equal(inUse(store), 'ab');
  store.streamLive = false;
  store.readFile();
  assert.equal(inUse(store), 'c');
  assert.equal(store.snapshot?.sequence, 0n);
});

test('a file that says what the stream said changes nothing', async () => {
  let changes = 0;
  const store = newStore(() => changes++);
  await writeFile(file, a.pem);
  store.readFile();
  store.streamLive = true;
  store.applyBundle(5n, [a.x509.raw, b.x509.raw]);
  store.streamLive = false;
  await writeFile(file, b.pem + a.pem);
  store.readFile();
  assert.equal(store.snapshot?.sequence, 5n);
  assert.equal(changes, 2);
});

test('an old file that has not changed does not bring old anchors back', async () => {
  const store = newStore();
  await writeFile(file, a.pem);
  store.readFile();
  store.streamLive = true;
  store.applyBundle(5n, [b.x509.raw]);
  store.streamLive = false;
  store.readFile();
  assert.equal(inUse(store), 'b');
});

test('a sequence number with other anchors than before is refused', () => {
  const store = newStore();
  store.applyBundle(5n, [a.x509.raw]);
  assert.throws(() => store.applyBundle(5n, [b.x509.raw]), /sent before with other anchors/);
  store.applyBundle(5n, [a.x509.raw]);
  assert.equal(inUse(store), 'a');
});

test('what is no list of CA certificates is refused', async () => {
  const leaf = await makeLeaf(await makeIssuer(a, 'east'), workload('web'));
  assert.throws(() => parseAnchorsPem('garbage'), /no PEM certificate/);
  assert.throws(() => parseAnchors([]), /no trust anchors/);
  assert.throws(() => parseAnchors([leaf.pem]), /not a CA certificate/);
  assert.throws(() => parseAnchors(Array.from({ length: 17 }, () => a.pem)), /limit is 16/);
  assert.equal(parseAnchorsPem(`# comment\n${a.pem}\n${b.pem}`).length, 2);
});

test('whatever the stream sends, bundles never go back, and the version tells each change of the anchors', () => {
  const bundle = fc.record({ sequence: fc.bigInt({ min: 0n, max: 12n }), anchors: fc.subarray([0, 1, 2]) });
  fc.assert(
    fc.property(fc.array(bundle, { maxLength: 30 }), (bundles) => {
      let changes = 0;
      const store = newStore(() => changes++);
      for (const { sequence, anchors } of bundles) {
        const before = store.snapshot;
        try {
          store.applyBundle(
            sequence,
            anchors.map((index) => all[index]?.x509.raw ?? Buffer.alloc(0)),
          );
          assert.equal(store.snapshot?.sequence, sequence);
          assert.equal(inUse(store), anchors.map((index) => 'abc'[index]).join(''));
        } catch (error) {
          assert.ok(error instanceof Error && error.name === 'Error', String(error));
          assert.equal(store.snapshot, before);
        }
        assert.ok((store.snapshot?.sequence ?? 0n) >= (before?.sequence ?? 0n));
        assert.equal(store.snapshot?.version ?? 0, changes);
      }
    }),
  );
});
