import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointSlice } from '../api/kubernetes-types.ts';
import { writtenReadiness } from './mirror-objects.ts';

const slice = (endpoints: EndpointSlice['endpoints']): EndpointSlice => ({ addressType: 'IPv4', endpoints });
const endpoint = (ready: boolean) => ({ addresses: ['192.0.2.1'], conditions: { ready } });

test('the readiness that was written is read back; slices without endpoints say nothing, as null or as a list', () => {
  assert.equal(writtenReadiness([slice(null)]), undefined);
  assert.equal(writtenReadiness([slice([])]), undefined);
  assert.equal(writtenReadiness([slice(null), slice([endpoint(false)])]), false);
  assert.equal(writtenReadiness([slice([endpoint(true)])]), true);
});
