import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ApiError } from '../../types.ts';
import { CONFIG_MAPS, startTestServer } from '../testing/test-server.ts';
import { decodeProtobuf, PROTOBUF_TYPE } from './decode.ts';

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return Buffer.from([...bytes, rest]);
}

/** A field of wire type 2. */
function bytes(number: number, ...content: (Buffer | string)[]): Buffer {
  const body = Buffer.concat(content.map((part) => Buffer.from(part)));
  return Buffer.concat([varint(number * 8 + 2), varint(body.length), body]);
}

function int(number: number, value: number): Buffer {
  return Buffer.concat([varint(number * 8), varint(value)]);
}

function envelope(apiVersion: string, kind: string, ...raw: Buffer[]): Buffer {
  return Buffer.concat([
    Buffer.from('k8s\0'),
    bytes(1, bytes(1, apiVersion), bytes(2, kind)),
    bytes(2, ...raw),
  ]);
}

void test('maps, bytes and lists; zero values that JSON leaves out are left out', () => {
  // The names' zero values stand there as Go's encoder writes them.
  const metadata = bytes(
    1,
    bytes(1, 'a'),
    bytes(2, ''),
    bytes(4, ''),
    bytes(8),
    bytes(11, bytes(1, 'k'), bytes(2, 'v')),
  );
  const body = envelope(
    'v1',
    'ConfigMap',
    metadata,
    bytes(2, bytes(1, 'x'), bytes(2, 'y')),
    bytes(3, bytes(1, 'b'), bytes(2, Buffer.from([0, 255]))),
  );
  assert.deepEqual(decodeProtobuf(body), {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'a', labels: { k: 'v' } },
    data: { x: 'y' },
    binaryData: { b: 'AP8=' },
  });
});

void test('numbers that are there though zero, int-or-string, inlined messages and quantities', () => {
  const container = bytes(
    2,
    bytes(1, 'c'),
    bytes(8, bytes(1, bytes(1, 'cpu'), bytes(2, bytes(1, '100m')))),
    // livenessProbe: handler inlined, httpGet.port by name.
    bytes(10, bytes(1, bytes(2, bytes(2, int(1, 1), bytes(3, 'http')))), int(4, 5)),
  );
  const deployment = envelope(
    'apps/v1',
    'Deployment',
    bytes(2, int(1, 0), bytes(3, bytes(2, container)), bytes(4, bytes(2, bytes(1, int(1, 0), int(2, 3))))),
  );
  assert.deepEqual(decodeProtobuf(deployment), {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    spec: {
      replicas: 0,
      template: {
        spec: {
          containers: [
            {
              name: 'c',
              resources: { limits: { cpu: '100m' } },
              livenessProbe: { httpGet: { port: 'http' }, periodSeconds: 5 },
            },
          ],
        },
      },
      strategy: { rollingUpdate: { maxUnavailable: 3 } },
    },
  });
});

void test('property: no bytes do anything but decode or be refused with 400', () => {
  const valid = envelope('v1', 'Secret', bytes(1, bytes(1, 'a')), bytes(2, bytes(1, 'x'), bytes(2, 'y')));
  fc.assert(
    fc.property(fc.nat(valid.length), fc.uint8Array({ maxLength: 30 }), (at, noise) => {
      const body = Buffer.concat([valid.subarray(0, at), noise, valid.subarray(at + noise.length)]);
      try {
        decodeProtobuf(body);
      } catch (error) {
        assert.ok(error instanceof ApiError && error.code === 400);
      }
    }),
  );
});

void test('a request in protobuf is answered in JSON', async (t) => {
  const { call } = await startTestServer(t);
  const body = envelope('v1', 'ConfigMap', bytes(1, bytes(1, 'pb')), bytes(2, bytes(1, 'x'), bytes(2, 'y')));
  const made = await call('POST', CONFIG_MAPS, body, { 'Content-Type': PROTOBUF_TYPE });
  assert.equal(made.code, 201);
  assert.deepEqual(made.body['data'], { x: 'y' });
});
