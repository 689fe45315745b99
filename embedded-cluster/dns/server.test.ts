import assert from 'node:assert/strict';
import { Resolver } from 'node:dns/promises';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { decode, encode, streamDecode, streamEncode } from 'dns-packet';
import type { DecodedPacket } from 'dns-packet';
import fc from 'fast-check';
import { MemoryApi } from '../testing/memory-api.ts';
import { answerQuery, startDnsServer } from './server.ts';
import type { DnsServer } from './server.ts';

const EDNS = {
  type: 'OPT' as const,
  name: '.' as const,
  udpPayloadSize: 1232,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};

await describe('DNS server', async () => {
  const api = new MemoryApi();
  const resolver = new Resolver({ tries: 1 });
  let server: DnsServer;

  before(async () => {
    await api.seed('namespaces', { metadata: { name: 'shop' } });
    await service('web', 3);
    await service('empty', 0);
    await service('big', 60);
    await api.seed('services', {
      metadata: { name: 'outside', namespace: 'shop' },
      spec: { type: 'ExternalName', externalName: 'example.org' },
    });
    server = await startDnsServer(api, '127.0.0.1', 0);
    resolver.setServers([server.address]);
  });
  after(() => server.close());

  const service = async (name: string, count: number): Promise<void> => {
    await api.seed('services', {
      metadata: { name, namespace: 'shop' },
      spec: { clusterIP: '10.96.0.9', ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
    });
    const endpoints = Array.from({ length: count }, (_, i) => ({
      addresses: [`127.64.0.${i + 2}`],
      // The last of several is not ready.
      conditions: { ready: i === 0 || i < count - 1 },
      ...(i === 0 ? { hostname: 'first' } : {}),
    }));
    await api.seed('endpointslices.discovery.k8s.io', {
      metadata: { name: `${name}-x`, namespace: 'shop', labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints,
      ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    });
  };
  const fails = (name: string, type: string): Promise<string> =>
    resolver.resolve(name, type).then(
      (records) => JSON.stringify(records),
      (error: NodeJS.ErrnoException) => error.code ?? '',
    );

  await it('gives the ready endpoints of a service', async () => {
    assert.deepEqual(await resolver.resolve4('web.shop.svc.cluster.local'), ['127.64.0.2', '127.64.0.3']);
    assert.deepEqual(await resolver.resolve4('WEB.shop.svc.cluster.local'), ['127.64.0.2', '127.64.0.3']);
    assert.deepEqual(await resolver.resolve4('first.web.shop.svc.cluster.local'), ['127.64.0.2']);
    assert.deepEqual(await resolver.resolve4('127-64-0-3.web.shop.svc.cluster.local'), ['127.64.0.3']);
  });

  await it('gives SRV records with the port of the endpoints', async () => {
    const records = await resolver.resolveSrv('_http._tcp.web.shop.svc.cluster.local');
    assert.deepEqual(records.map((r) => `${r.name}:${r.port}`).sort(), [
      '127-64-0-3.web.shop.svc.cluster.local:8080',
      'first.web.shop.svc.cluster.local:8080',
    ]);
  });

  await it('tells a name without such a record, a name that does not exist, and a foreign name apart', async () => {
    assert.equal(await fails('web.shop.svc.cluster.local', 'AAAA'), 'ENODATA');
    assert.equal(await fails('empty.shop.svc.cluster.local', 'A'), 'ENODATA');
    assert.equal(await fails('shop.svc.cluster.local', 'A'), 'ENODATA');
    assert.equal(await fails('nothing.shop.svc.cluster.local', 'A'), 'ENOTFOUND');
    assert.equal(await fails('third.web.shop.svc.cluster.local', 'A'), 'ENOTFOUND');
    assert.equal(await fails('_no._tcp.web.shop.svc.cluster.local', 'SRV'), 'ENOTFOUND');
    assert.equal(await fails('example.com', 'A'), 'EREFUSED');
    assert.equal(await fails('outside.shop.svc.cluster.local', 'CNAME'), '["example.org"]');
  });

  await it('cuts what does not fit a datagram, and gives all of it over TCP', async () => {
    const query = {
      type: 'query' as const,
      id: 7,
      questions: [{ type: 'A' as const, name: 'big.shop.svc.cluster.local' }],
    };
    const [host = '', port = ''] = server.address.split(':');
    const udp = createSocket('udp4');
    udp.send(encode(query), Number(port), host);
    const [datagram] = (await once(udp, 'message')) as [Buffer];
    udp.close();
    assert.ok(datagram.length <= 512);
    assert.equal(decode(datagram).flag_tc, true);

    const socket = connect(Number(port), host);
    const whole = streamEncode(query);
    // In two pieces: the length may come alone.
    socket.write(whole.subarray(0, 1));
    await once(socket, 'connect');
    socket.write(whole.subarray(1));
    let received = Buffer.alloc(0);
    while (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) {
      const [chunk] = (await once(socket, 'data')) as [Buffer];
      received = Buffer.concat([received, chunk]);
    }
    socket.destroy();
    const answer = streamDecode(received) as DecodedPacket;
    assert.equal(answer.id, 7);
    assert.equal(answer.answers?.length, 59);
  });

  await it('answers or ignores whatever bytes come', () => {
    const harmless = (bytes: Uint8Array): void => {
      const answer = answerQuery(api, Buffer.from(bytes), 'udp');
      assert.ok(answer === undefined || decode(answer).flag_qr);
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), harmless));
    const names = fc.constantFrom('web.shop.svc.cluster.local', '_http._tcp.web.shop.svc.cluster.local', '.');
    const change = fc.record({ at: fc.nat(100), byte: fc.nat(255) });
    fc.assert(
      fc.property(names, fc.array(change, { maxLength: 6 }), fc.nat(100), (name, changes, cut) => {
        const query = encode({
          type: 'query',
          id: 1,
          questions: [{ type: 'SRV', name }],
          additionals: [EDNS],
        });
        for (const { at, byte } of changes) query[at % query.length] = byte;
        harmless(query.subarray(0, query.length - (cut % 7)));
      }),
      {
        numRuns: 2000,
        // A dot inside a label: the answer could not be read.
        examples: [['_http._tcp.web.shop.svc.cluster.local', [{ at: 83, byte: 46 }], 0]],
      },
    );
  });

  await it('goes on after garbage over UDP and TCP', async () => {
    const [host = '', port = ''] = server.address.split(':');
    const udp = createSocket('udp4');
    for (let i = 0; i < 200; i += 1) udp.send(randomBytes(1 + (i % 64)), Number(port), host);
    const socket = connect(Number(port), host);
    socket.on('error', () => undefined);
    socket.end(randomBytes(4096));
    await once(socket.resume(), 'close');
    udp.close();
    assert.deepEqual(await resolver.resolve4('web.shop.svc.cluster.local'), ['127.64.0.2', '127.64.0.3']);
  });
});
