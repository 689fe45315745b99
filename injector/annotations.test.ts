import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

import { proxyConfig, UNSUPPORTED, WITHOUT_EFFECT } from './annotations.ts';
import { SETTINGS } from './proxy-config.ts';

function read(pod: Record<string, string>, namespace: Record<string, string> = {}) {
  return proxyConfig({ annotations: pod }, { annotations: namespace });
}

test('the pod goes before its namespace, ours before Linkerd’s, stable names before those in trial', () => {
  const pod = {
    'config.linkerd.io/proxy-cpu-limit': '2',
    'config.alpha.linkerd.io/proxy-enable-native-sidecar': 'true',
    'config.beta.linkerd.io/proxy-enable-native-sidecar': 'false',
    'config.alpha.linkerd.io/proxy-wait-before-exit-seconds': '7',
    'config.isthmus.dev/proxy-log-level': 'debug',
    'config.linkerd.io/proxy-log-level': 'error',
  };
  const namespace = {
    'config.isthmus.dev/proxy-cpu-limit': '3',
    'config.isthmus.dev/proxy-memory-limit': '100Mi',
    'config.linkerd.io/shutdown-grace-period': '5s',
  };
  assert.deepEqual(read(pod, namespace), {
    config: {
      cpuLimit: '2',
      memoryLimit: '100Mi',
      nativeSidecar: false,
      waitBeforeExitSeconds: 7,
      shutdownGraceMs: 5_000,
      logLevel: 'debug',
    },
    warnings: [],
  });
});

test('Linkerd’s image and version would be Linkerd’s proxy: only ours count', () => {
  const { config, warnings } = read({
    'config.linkerd.io/proxy-image': 'cr.l5d.io/linkerd/proxy',
    'config.linkerd.io/proxy-version': 'edge-26.8.3',
    'config.isthmus.dev/proxy-version': '0.2.0',
  });
  assert.deepEqual([config, warnings], [{ version: '0.2.0' }, []]);
});

test('what we do not do is told with the reason; what needs nothing is taken in silence; what nobody knows is told', () => {
  const { config, warnings } = read({
    'config.linkerd.io/enable-gateway': 'true',
    'config.linkerd.io/control-port': '4190',
    'config.linkerd.io/proxy-cpu-limt': '1',
    'config.isthmus.dev/control-port': '4190',
    'config.example.com/proxy': 'x',
    'linkerd.io/inject': 'enabled',
  });
  assert.deepEqual(config, {});
  assert.deepEqual(warnings, [
    'annotation config.linkerd.io/enable-gateway is ignored: gateways are those of the install',
    'annotation config.linkerd.io/proxy-cpu-limt is ignored: it is not known',
    'annotation config.isthmus.dev/control-port is ignored: it is not known',
  ]);
});

test('the documentation names each annotation once, under what becomes of it', async () => {
  const text = await readFile(new URL('../docs/annotations.md', import.meta.url), 'utf8');
  const documented = (heading: string): string[] => {
    const section = text.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
    return [...section.matchAll(/^\| `([\w-]+)`/gm)].map(([, name = '']) => name).sort();
  };
  const supported = Object.values(SETTINGS).map(({ annotation }) => annotation);
  assert.deepEqual(documented('Supported'), supported.sort());
  assert.deepEqual(documented('Accepted without effect'), [...WITHOUT_EFFECT].sort());
  assert.deepEqual(documented('Ignored with a warning'), Object.keys(UNSUPPORTED).sort());
});
