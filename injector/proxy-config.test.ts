import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { proxyConfig } from './annotations.ts';
import { durationMs } from './duration.ts';
import { type ProxyConfig, SETTINGS } from './proxy-config.ts';

/** What one annotation comes to. */
function read(name: keyof ProxyConfig, value: string): unknown {
  return SETTINGS[name].parse(value);
}

const values: [setting: keyof ProxyConfig, text: string, means: unknown][] = [
  ['cpuLimit', '1500m', '1500m'],
  ['cpuLimit', '-1', undefined],
  ['memoryLimit', '1e3', '1e3'],
  ['memoryLimit', '64 Mi', undefined],
  ['ephemeralStorageLimit', '1Gi', '1Gi'],
  ['logLevel', 'debug', 'debug'],
  ['logLevel', 'silent', 'silent'],
  ['logLevel', 'off', 'silent'],
  ['logLevel', 'warn,linkerd=debug,hickory=error', 'debug'],
  ['logLevel', 'linkerd2_proxy=trace', 'trace'],
  ['logLevel', 'warn,h2=debug', 'warn'],
  ['logLevel', 'h2=debug', undefined],
  ['logLevel', 'loud', undefined],
  ['image', 'registry.example/isthmus:2', 'registry.example/isthmus:2'],
  ['image', 'two words', undefined],
  ['version', '1.2.3-rc.1', '1.2.3-rc.1'],
  ['version', 'a/b', undefined],
  ['imagePullPolicy', 'Always', 'Always'],
  ['imagePullPolicy', 'always', undefined],
  ['defaultInboundPolicy', 'cluster-authenticated', 'cluster-authenticated'],
  ['defaultInboundPolicy', 'audit', 'audit'],
  ['defaultInboundPolicy', 'cluster', undefined],
  ['proxyUid', '2102', 2102],
  ['proxyUid', '0', undefined],
  ['proxyUid', '4294967295', undefined],
  ['proxyGid', '70', 70],
  ['inboundPort', '14143', 14_143],
  ['inboundPort', '70000', undefined],
  ['nativeSidecar', 'false', false],
  ['nativeSidecar', 'enabled', true],
  ['nativeSidecar', 'yes', undefined],
  ['await', 'disabled', false],
  ['adminShutdown', 'enabled', true],
  ['shutdownGraceMs', '2m', 120_000],
  ['shutdownGraceMs', '120', undefined],
  ['waitBeforeExitSeconds', '20', 20],
  ['waitBeforeExitSeconds', '20s', undefined],
  ['inboundConnectMs', '100ms', 100],
  ['outboundConnectMs', '0', undefined],
  ['skipSubnets', '10.0.0.0/8, fd00::/8', '10.0.0.0/8, fd00::/8'],
  ['skipSubnets', '10.0.0.0/33', undefined],
  ['skipSubnets', '10.0.0.0', undefined],
];

for (const [setting, text, means] of values) {
  test(`${SETTINGS[setting].annotation}: ${JSON.stringify(text)} means ${String(means)}`, () => {
    assert.deepEqual(read(setting, text), means);
  });
}

test('durations add up, in any order of any units', () => {
  const unit = fc.constantFrom(['ms', 1], ['s', 1_000], ['m', 60_000], ['h', 3_600_000] as const);
  const part = fc.tuple(fc.integer({ min: 0, max: 10_000 }), unit);
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
      const text = parts.map(([number, [name]]) => `${number}${name}`).join('');
      const sum = parts.reduce((total, [number, [, ms]]) => total + number * ms, 0);
      assert.equal(durationMs(text), sum);
    }),
  );
});

test('no annotation of any text keeps a pod from its sidecar', () => {
  const names = Object.values(SETTINGS).map(({ annotation }) => annotation);
  const annotations = fc.dictionary(
    fc.constantFrom(...names.map((n) => `config.linkerd.io/${n}`)),
    fc.string(),
  );
  fc.assert(
    fc.property(annotations, annotations, (pod, namespace) => {
      const { config, warnings } = proxyConfig({ annotations: pod }, { annotations: namespace });
      assert.ok(Object.values(config).every((value) => value !== undefined));
      for (const warning of warnings) assert.match(warning, /^annotation /);
    }),
  );
});
