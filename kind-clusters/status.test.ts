import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Link } from '../api/isthmus-types.ts';
import { describeLinks } from './status.ts';

const link = (target: string, alive?: 'True' | 'False' | 'Unknown'): Link =>
  ({
    spec: { targetClusterName: target },
    status: alive === undefined ? {} : { conditions: [{ type: 'GatewayAlive', status: alive }] },
  }) as Link;

test('links by their target, with what is known of its gateway', () => {
  assert.equal(describeLinks([]), 'none');
  const links = [link('west', 'True'), link('north', 'False'), link('south', 'Unknown'), link('new')];
  assert.equal(describeLinks(links), 'west alive, north dead, south unknown, new unknown');
});
