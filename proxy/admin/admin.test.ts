import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, test, type TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { freshAddress } from '../../test/testing/addresses.ts';
import { descriptorLimit, LowestLevel } from '../../log/index.ts';
import { adminAnswer, shownEnv } from './admin-answers.ts';
import { adminHost, startAdmin, type Admin, type AdminOptions } from './admin.ts';
import { Registry } from '../telemetry/registry.ts';
import { TRANSPORTS } from '../testing/transports.ts';
import { TimerWheel } from '../transport/timers.ts';

test('the environment is shown without secrets and without what is not ours', () => {
  const shown = shownEnv({
    ISTHMUS_CLUSTER_NAME: 'east',
    ISTHMUS_IDENTITY_TOKEN_FILE: '/var/run/token',
    ISTHMUS_SOME_TOKEN: 'hush',
    POD_IP: '127.0.0.1',
    AWS_SECRET_ACCESS_KEY: 'hush',
    HOME: '/root',
  });
  assert.deepEqual(shown, {
    ISTHMUS_CLUSTER_NAME: 'east',
    ISTHMUS_IDENTITY_TOKEN_FILE: '/var/run/token',
    ISTHMUS_SOME_TOKEN: '(set)',
    POD_IP: '127.0.0.1',
  });
});

test('a pod with a network of its own is asked at its loopback address, too; one that shares the machine’s has its address alone', () => {
  for (const [address, host] of [
    ['10.42.0.7', '::'],
    ['fd00::7', '::'],
    ['127.40.3.9', '127.40.3.9'],
  ] as const)
    assert.equal(adminHost(address), host);
});

test('the level of the log is for the pod’s own containers', () => {
  const answers = {
    registry: new Registry(),
    unready: () => undefined,
    env: {},
    logLevel: new LowestLevel('info'),
  };
  const ask = (from: string | undefined, body: string): number =>
    adminAnswer({ method: 'PUT', path: '/proxy-log-level', body }, from, answers).status;
  for (const from of ['10.1.2.3', undefined, '2001:db8::1']) assert.equal(ask(from, 'debug'), 403);
  assert.equal(answers.logLevel.name, 'info');
  for (const from of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) assert.equal(ask(from, 'debug'), 204);
});

/** Sends a request as it is written, and reads what comes until the server closes. */
async function exchange(host: string, port: number, request: string): Promise<string> {
  const socket = connect({ host, port });
  socket.write(request);
  let answer = '';
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

/** A registry whose exposition is more than the kernel's buffers hold. */
function largeRegistry(): Registry {
  const registry = new Registry();
  const family = registry.histogram('latency', 'Latency');
  const label = 'as long as real ones '.repeat(10);
  for (let i = 0; i < 1_000; i++) family.cell({ i: String(i), label }).observe(i);
  return registry;
}

function bucketsIn(text: string): number {
  return text.split('\n').filter((line) => line.startsWith('latency_bucket')).length;
}

for (const [means, wrap] of TRANSPORTS) {
  describe(`the admin server by ${means}`, () => {
    /** On any port of an address of its own. */
    async function started(t: TestContext, more: Partial<AdminOptions>): Promise<Admin & { host: string }> {
      const options: AdminOptions = {
        host: freshAddress(),
        port: 0,
        registry: new Registry(),
        unready: () => undefined,
        env: {},
        wrap,
        timers: new TimerWheel(),
        ...more,
      };
      const admin = await startAdmin(options);
      t.after(() => admin.close());
      return { ...admin, host: options.host };
    }

    test('live, ready with its reason, metrics; a taken port is named', async (t) => {
      const registry = new Registry();
      registry.counter('request_total', 'Requests').cell().add(2);
      let reason: string | undefined = 'not yet';
      const { host, port } = await started(t, { registry, unready: () => reason });
      const ask = (path: string, method = 'GET') => fetch(`http://${host}:${port}${path}`, { method });
      assert.equal((await ask('/live')).status, 200);
      const unready = await ask('/ready?verbose');
      assert.equal(unready.status, 503);
      assert.equal(unready.headers.get('content-type'), 'text/plain');
      assert.ok(Math.abs(Date.parse(unready.headers.get('date') ?? '') - Date.now()) < 60_000);
      assert.equal(await unready.text(), 'not yet\n');
      reason = undefined;
      assert.equal((await ask('/ready')).status, 200);
      assert.match(await (await ask('/metrics')).text(), /^request_total 2$/m);
      assert.deepEqual(await (await ask('/env.json')).json(), {});
      assert.equal((await ask('/shutdown', 'POST')).status, 404);
      const refused = await ask('/ready', 'POST');
      assert.deepEqual([refused.status, refused.headers.get('allow')], [405, 'GET, HEAD']);
      assert.equal((await ask('/other')).status, 404);
      await assert.rejects(
        started(t, { host, port }),
        new RegExp(`the admin port ${host}:${port} cannot be opened: .*EADDRINUSE`),
      );
    });

    test('the level of the log is told and changed, by the forms that the annotation takes, over one connection', async (t) => {
      const logLevel = new LowestLevel('info');
      const { host, port } = await started(t, { logLevel });
      const ask = async (method: string, body?: string): Promise<string> => {
        const init = body === undefined ? { method } : { method, body };
        const answer = await fetch(`http://${host}:${port}/proxy-log-level`, init);
        return `${answer.status} ${(await answer.text()).trim()}`;
      };
      assert.equal(await ask('GET'), '200 info');
      assert.equal(await ask('PUT', 'warn,linkerd=debug\n'), '204 ');
      assert.equal(await ask('GET'), '200 debug');
      assert.equal(logLevel.name, 'debug');
      for (const wrong of ['loud', '', 'debug='])
        assert.match(await ask('PUT', wrong), /^400 the body must be/);
      assert.match(await ask('PUT'), /^400/);
      assert.equal(await ask('PUT', 'x'.repeat(5_000)), '413 the body is too large');
      assert.equal(await ask('DELETE'), '405 only GET, HEAD, PUT');
      assert.equal(await ask('GET'), '200 debug');
    });

    test('a body in pieces with more behind it is one body, and what is behind it the next request', async (t) => {
      const logLevel = new LowestLevel('info');
      const { host, port } = await started(t, { logLevel });
      const put = 'PUT /proxy-log-level HTTP/1.1\r\nhost: it\r\ntransfer-encoding: chunked\r\n\r\n';
      const rest = '2\r\nwa\r\n2\r\nrn\r\n0\r\nx: y\r\n\r\n';
      const get = 'GET /proxy-log-level HTTP/1.1\r\nhost: it\r\nconnection: close\r\n\r\n';
      const answer = await exchange(host, port, put + rest + get);
      assert.match(answer, /^HTTP\/1\.1 204 [^]*HTTP\/1\.1 200 OK[^]*\r\n\r\nwarn\n$/);
      assert.doesNotMatch(answer.split('HTTP/1.1 200')[0] ?? '', /content-length|transfer-encoding/i);
    });

    test('whoever comes beyond the limit is answered, and the oldest that nobody waits on gives way', async (t) => {
      const { host, port } = await started(t, { maxConnections: 2, unready: () => 'not yet' });
      const [silent, second] = [connect({ host, port }), connect({ host, port })];
      t.after(() => second.destroy());
      const closed = once(silent.resume(), 'close');
      await once(silent, 'connect');
      second.write('GET /live HTTP/1.1\r\nhost: it\r\n\r\n');
      await once(second, 'data');
      const probe = 'GET /ready HTTP/1.1\r\nhost: it\r\nconnection: close\r\n\r\n';
      assert.match(await exchange(host, port, probe), /not yet/);
      await closed;
      second.write('GET /live HTTP/1.1\r\nhost: it\r\n\r\n');
      const [again] = (await once(second, 'data')) as [Buffer];
      assert.match(String(again), /live/);
    });

    test('1,000 have a place where nothing else is said, or a sixteenth of what the process may open', async (t) => {
      const { host, port } = await started(t, {});
      const places = Math.min(1_000, Math.floor(descriptorLimit() / 16));
      const crowd: Socket[] = [];
      t.after(() => crowd.forEach((socket) => socket.destroy()));
      const enter = async (): Promise<Socket> => {
        const socket = connect({ host, port }).resume();
        crowd.push(socket);
        await once(socket, 'connect');
        return socket;
      };
      const first = await enter();
      let isGone = false;
      const gone = once(first, 'close').then(() => (isGone = true));
      while (crowd.length < places) await enter();
      // Who is asked last is answered when all before have been taken.
      crowd.at(-1)?.write('GET /live HTTP/1.1\r\nhost: it\r\n\r\n');
      await once(crowd.at(-1) ?? first, 'data');
      assert.ok(!isGone);
      await enter();
      await gone;
      assert.equal(crowd.filter(({ destroyed }) => destroyed).length, 1);
    });

    test('HEAD has no body; one connection takes several requests; HTTP/1.0 gets all until the end', async (t) => {
      const { host, port } = await started(t, { registry: largeRegistry() });
      const head = (path: string, more = '') => `HEAD ${path} HTTP/1.1\r\nhost: it\r\n${more}\r\n`;
      const answers = await exchange(
        host,
        port,
        head('/live') + head('/metrics') + head('/live', 'connection: close\r\n'),
      );
      assert.deepEqual(answers.match(/^HTTP\/1\.1 200 OK$/gm)?.length, 3);
      assert.deepEqual(answers.match(/^content-length: 5$/gm)?.length, 2);
      assert.ok(answers.endsWith('\r\n\r\n'));
      assert.equal(bucketsIn(await exchange(host, port, 'GET /metrics HTTP/1.0\r\n\r\n')), 26_000);
    });

    test('a reader that pauses gets all of a large exposition', async (t) => {
      const { host, port } = await started(t, { registry: largeRegistry() });
      const [answer] = (await once(get({ host, port, path: '/metrics', agent: false }), 'response')) as [
        IncomingMessage,
      ];
      // More than the kernel's buffers hold: meanwhile the server has to stop.
      for (let turn = 0; turn < 1_000; turn++) await nextTurn();
      let text = '';
      for await (const chunk of answer) text += String(chunk);
      assert.equal(bucketsIn(text), 26_000);
    });

    test('a reader that leaves in the midst of it hurts nobody', async (t) => {
      const registry = largeRegistry();
      const { host, port } = await started(t, { registry });
      const leaving = connect({ host, port });
      leaving.write('GET /metrics HTTP/1.1\r\nhost: it\r\n\r\n');
      await once(leaving, 'readable');
      leaving.resetAndDestroy();
      assert.equal(bucketsIn(await exchange(host, port, 'GET /metrics HTTP/1.0\r\n\r\n')), 26_000);
    });

    test('what cannot be rendered breaks off, and is no whole answer', async (t) => {
      const registry = new Registry();
      registry.collect = () => assert.fail('broken');
      const { host, port } = await started(t, { registry });
      const text = await exchange(host, port, 'GET /metrics HTTP/1.1\r\nhost: it\r\n\r\n').catch(String);
      assert.doesNotMatch(text, /\r\n0\r\n\r\n$/);
      assert.match(await exchange(host, port, 'GET /live HTTP/1.0\r\n\r\n'), /200 OK/);
    });

    test('closing ends open connections', async (t) => {
      const admin = await started(t, {});
      const open: Socket = connect({ host: admin.host, port: admin.port });
      open.on('error', () => undefined);
      open.write('GET /live HTTP/1.1\r\nhost: it\r\n\r\n');
      await once(open, 'data');
      const closed = once(open, 'close');
      admin.close();
      await closed;
    });

    /** The admin port of all addresses, and how often a shutdown was asked for. */
    async function stoppable(t: TestContext) {
      let asked = 0;
      const admin = await started(t, { host: '::', shutDown: () => asked++ });
      return { admin, asked: () => asked };
    }

    test('a shutdown is asked for by POST over loopback, and answered before it begins', async (t) => {
      const { admin, asked } = await stoppable(t);
      for (const [i, host] of ['127.0.0.1', '[::1]'].entries()) {
        const ask = (method: string) => fetch(`http://${host}:${admin.port}/shutdown`, { method });
        assert.equal((await ask('GET')).status, 405);
        assert.equal(asked(), i);
        assert.equal((await ask('POST')).status, 200);
        assert.equal(asked(), i + 1);
      }
    });

    test('nobody from outside the pod shuts it down', async (t) => {
      const outside = Object.values(networkInterfaces())
        .flatMap((addresses) => addresses ?? [])
        .find(({ internal, family }) => !internal && family === 'IPv4')?.address;
      if (outside === undefined) return t.skip('this machine has no address but loopback');
      const { admin, asked } = await stoppable(t);
      const answer = await fetch(`http://${outside}:${admin.port}/shutdown`, { method: 'POST' });
      assert.equal(answer.status, 403);
      assert.equal(asked(), 0);
    });
  });
}
