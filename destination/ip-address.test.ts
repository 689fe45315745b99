import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';

import { IPAddressSchema } from '../api/proto/gen/linkerd/net_pb.js';
import { canonicalIp, ipAddress, ipNetwork, ipText } from './ip-address.ts';

test('an IPv4 address is its four bytes, as fixed32', () => {
  assert.deepEqual([...toBinary(IPAddressSchema, ipAddress('10.1.2.200'))], [0x0d, 200, 2, 1, 10]);
});

test('an address comes back from the wire as it went', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const bytes = toBinary(IPAddressSchema, ipAddress(text));
      assert.equal(ipText(fromBinary(IPAddressSchema, bytes)), canonicalIp(text));
    }),
  );
});

test('what is no address has no canonical form', () => {
  for (const text of ['', 'web', '10.0.0', '10.0.0.256', '1::2::3'])
    assert.equal(canonicalIp(text), undefined);
});

test('a network has an address and a prefix that fits it', () => {
  assert.equal(ipNetwork('10.0.0.0/8').prefixLen, 8);
  assert.equal(ipNetwork('fd00::/8').prefixLen, 8);
  for (const text of ['10.0.0.0', '10.0.0.0/33', '10.0.0.0/', 'x/8'])
    assert.throws(() => ipNetwork(text), TypeError);
});
