import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { recorder, transportPair } from '../testing/loopback.ts';
import { TRANSPORTS } from '../testing/transports.ts';
import { ConnectionTracker } from './connections.ts';
import { Registry } from './registry.ts';
import { TcpMetrics } from './tcp-metrics.ts';

for (const [name, wrap] of TRANSPORTS) {
  describe(`connections that are counted, on ${name}`, () => {
    async function tracked() {
      const registry = new Registry();
      const tracker = new ConnectionTracker(registry, () => 1);
      const { client, server } = await transportPair(wrap);
      tracker.track(server, new TcpMetrics(registry).cells({ direction: 'inbound' }));
      /** The series of `tcp_NAME`. */
      const lines = (metric: string): string[] => {
        registry.collect();
        const family = registry.families.find((one) => one.name === `tcp_${metric}`);
        return [...(family?.cells() ?? [])].map((cell) => cell.text(metric).trim());
      };
      return { tracker, client, server, lines };
    }

    test('their bytes, while they are open and when they have closed', async () => {
      const { tracker, client, server, lines } = await tracked();
      const [asked, served] = [recorder(client), recorder(server)];
      client.write(Buffer.alloc(1_000), 0, 1_000);
      await served.until(() => served.length === 1_000);
      assert.deepEqual(lines('read_bytes_total'), ['read_bytes_total{direction="inbound"} 1000']);
      assert.deepEqual(lines('open_connections'), ['open_connections{direction="inbound"} 1']);
      server.write(Buffer.alloc(500), 0, 500);
      server.end();
      client.end();
      await Promise.all([asked.until(() => asked.closed), served.until(() => served.closed)]);
      assert.equal(tracker.size, 0);
      assert.deepEqual(lines('read_bytes_total'), ['read_bytes_total{direction="inbound"} 1000']);
      assert.deepEqual(lines('write_bytes_total'), ['write_bytes_total{direction="inbound"} 500']);
      assert.deepEqual(lines('open_connections'), ['open_connections{direction="inbound"} 0']);
      assert.deepEqual(lines('close_total'), ['close_total{direction="inbound"} 1']);
    });

    test('why one broke; one that we close ourselves broke for no reason', async () => {
      const broken = await tracked();
      const served = recorder(broken.server);
      broken.client.reset();
      await served.until(() => served.closed);
      assert.deepEqual(broken.lines('close_total'), [
        'close_total{direction="inbound",errno="ECONNRESET"} 1',
      ]);
      const ended = await tracked();
      const [asked, last] = [recorder(ended.client), recorder(ended.server)];
      // So much that the kernel does not take it all: it is under way when the connection is closed.
      ended.client.pause();
      const all = Buffer.alloc(65_536);
      while (ended.server.write(all, 0, all.length));
      ended.tracker.destroyAll();
      await last.until(() => last.closed);
      assert.deepEqual(ended.lines('close_total'), ['close_total{direction="inbound"} 1']);
      ended.client.destroy();
      await asked.until(() => asked.closed);
    });
  });
}
