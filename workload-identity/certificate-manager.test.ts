import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { dnsIdentity, spiffeId } from '../api/names.ts';
import {
  CertificateManager,
  type CertificateManagerOptions,
  CHECK_PERIOD_MS,
  RENEW_AT_SHARE,
} from './certificate-manager.ts';
import { ManualClock } from './testing/manual-clock.ts';
import { peerIdentity } from './testing/peer-identity.ts';
import { makeAnchor, makeIssuer, makeLeaf, workload } from './testing/test-ca.ts';
import { VerifyError } from './types.ts';

const HOUR_MS = 3_600_000;
const LIFE_MS = 24 * HOUR_MS;
const START = Date.parse('2026-01-01T00:00:00Z');
const web = workload('web');
const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const issuer = await makeIssuer(await makeAnchor(), 'east');
const leaf = (await makeLeaf(issuer, web, { publicKey: keys.publicKey })).x509.raw;
const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Lets everything that needs no time run. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

/** Names and chain are the verifier's matter; here only time counts. @param notAfter ms */
const accepted = (notAfter: number) => peerIdentity(web, notAfter);

function managerOf(
  options: Pick<CertificateManagerOptions, 'clock' | 'verify' | 'certifier'> &
    Partial<CertificateManagerOptions>,
): CertificateManager {
  return new CertificateManager({
    identity: dnsIdentity(web),
    spiffeId: spiffeId(web),
    keys,
    logger,
    trustReady: () => true,
    changed: () => {},
    ...options,
  });
}

type Step =
  | { kind: 'advance'; ms: number }
  | { kind: 'jump'; ms: number }
  | { kind: 'service'; works: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 6 * HOUR_MS }) }),
  fc.record({
    kind: fc.constant('jump' as const),
    ms: fc.integer({ min: -48 * HOUR_MS, max: 48 * HOUR_MS }),
  }),
  fc.record({ kind: fc.constant('service' as const), works: fc.boolean() }),
);

test('however time and the identity service behave, one request runs at a time, and a service that works leads to a valid certificate', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const clock = new ManualClock(START);
      let works = true;
      let running = 0;
      const manager = managerOf({
        clock,
        verify: () => accepted(Number.MAX_SAFE_INTEGER),
        certifier: async () => {
          assert.equal(running, 0);
          running++;
          await settle();
          running--;
          if (!works) throw new Error('out of order');
          return { leaf, intermediates: [], validUntil: clock.now() + LIFE_MS };
        },
      });
      const look = (): void => {
        manager.check();
        clock.after(CHECK_PERIOD_MS, look);
      };
      look();
      const pass = async (ms: number): Promise<void> => {
        for (let left = ms; left > 0; left -= CHECK_PERIOD_MS * 60) {
          clock.advance(Math.min(left, CHECK_PERIOD_MS * 60));
          await settle();
          await settle();
        }
      };
      for (const next of steps) {
        if (next.kind === 'service') works = next.works;
        else if (next.kind === 'jump') clock.jump(next.ms);
        else await pass(next.ms);
      }
      works = true;
      await pass(CHECK_PERIOD_MS * 180);
      const { state } = manager;
      assert.equal(state.kind, 'certified');
      assert.ok(state.kind === 'certified' && state.certificate.validUntil > clock.now());
      assert.ok(state.renewAt >= state.certificate.issuedAt + LIFE_MS * RENEW_AT_SHARE - 1);
      assert.ok(clock.now() < state.renewAt + CHECK_PERIOD_MS * 61);
      manager.stop();
      assert.equal(manager.state.kind, 'stopped');
    }),
    { numRuns: 40 },
  );
});

test('a service that comes up is found soon, and one that stays away is not asked all the time', async () => {
  for (const upAt of [300, 1_000, 2_500, 6_000]) {
    const clock = new ManualClock(START);
    let asked = 0;
    const manager = managerOf({
      clock,
      // The longest waits that there are.
      random: () => 1,
      verify: () => accepted(START + LIFE_MS),
      certifier: async () => {
        asked++;
        if (clock.now() < START + upAt) throw new Error('connection refused');
        return { leaf, intermediates: [], validUntil: START + LIFE_MS };
      },
    });
    manager.check();
    for (let ms = 0; ms < 60_000 && manager.state.kind !== 'certified'; ms += 10) {
      await settle();
      clock.advance(10);
    }
    const late = clock.now() - START - upAt;
    assert.ok(late <= 150 + upAt * 0.3, `up at ${upAt}, found ${late} ms later`);
    assert.ok(asked <= 15, `${asked} attempts in ${upAt} ms`);
    manager.stop();
  }
  const clock = new ManualClock(START);
  let asked = 0;
  const manager = managerOf({
    clock,
    random: () => 0,
    verify: () => accepted(START + LIFE_MS),
    certifier: async () => {
      asked++;
      throw new Error('connection refused');
    },
  });
  manager.check();
  for (let ms = 0; ms < 60_000; ms += 10) {
    if (ms === 30_000) asked = 0;
    await settle();
    clock.advance(10);
  }
  assert.ok(asked <= 20, `${asked} attempts in half a minute`);
  manager.stop();
});

test('certificates that cannot be used are asked for less and less often, and at once when the anchors change', async () => {
  const clock = new ManualClock(START);
  let asked = 0;
  let notAfter = START - HOUR_MS;
  const manager = managerOf({
    clock,
    random: () => 0,
    verify: () =>
      notAfter < clock.now() ? new VerifyError('expired', 'the leaf has expired') : accepted(notAfter),
    certifier: async () => {
      asked++;
      return { leaf, intermediates: [], validUntil: notAfter };
    },
  });
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 500) {
      clock.advance(500);
      manager.check();
      await settle();
    }
  };
  manager.check();
  await settle();
  assert.equal(asked, 1);
  await pass(10_000);
  const early = asked;
  assert.ok(early > 3, `${early} times`);
  await pass(10 * 60_000);
  assert.ok(asked - early <= 21, `${asked - early} times in ten minutes`);
  assert.equal(manager.state.kind, 'waiting');
  notAfter = clock.now() + LIFE_MS;
  manager.anchorsChanged();
  await settle();
  assert.equal(manager.state.kind, 'certified');
  manager.stop();
});
