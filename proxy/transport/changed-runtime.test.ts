import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { TLSSocket } from 'node:tls';
import { tryTransport } from './choose.ts';
import { handleWrap } from './handle-transport.ts';
import { rawBinding, type WriteRequest } from './stream-bindings.ts';
import { wrapStream } from './stream-transport.ts';
import type { TcpHandle } from './tcp-bindings.ts';
import { TcpConnection, type Connection } from './tcp-connection.ts';
import type { Wrap } from './transport.ts';

type Raw = Readonly<Record<string, unknown>>;

/** Another version of Node: what its bindings are instead. */
function withBindings(t: TestContext, change: (name: string, raw: Raw | undefined) => Raw | undefined): void {
  const real = { tcp_wrap: rawBinding('tcp_wrap'), stream_wrap: rawBinding('stream_wrap') };
  t.mock.method(
    process as unknown as { binding(name: 'tcp_wrap' | 'stream_wrap'): unknown },
    'binding',
    (name: 'tcp_wrap' | 'stream_wrap') => change(name, real[name]),
  );
}

/** It is not even tried. */
async function assertRefused(): Promise<void> {
  const { kind, reason } = await tryTransport(handleWrap(wrapStream));
  assert.equal(kind, 'stream');
  assert.match(reason, /no socket-handle interface/);
}

const PARTS: readonly (readonly [binding: string, part: string, other: unknown])[] = [
  ['stream_wrap', 'WriteWrap', {}],
  ['stream_wrap', 'ShutdownWrap', {}],
  ['stream_wrap', 'streamBaseState', new Float64Array(8)],
  ['stream_wrap', 'kReadBytesOrError', '0'],
  ['stream_wrap', 'kLastWriteWasAsync', 1n],
  ['tcp_wrap', 'TCP', {}],
  ['tcp_wrap', 'TCPConnectWrap', {}],
  ['tcp_wrap', 'constants', {}],
];
for (const [binding, part, other] of PARTS) {
  for (const [how, value] of [
    ['missing', undefined],
    ['of another kind', other],
  ] as const)
    test(`where ${part} is ${how}, public streams take over`, async (t) => {
      withBindings(t, (name, raw) => (name === binding ? { ...raw, [part]: value } : raw));
      await assertRefused();
    });
}

/** A class with the methods of the runtime's handles but one, which do nothing. */
function handlesWithout(method: string | undefined): object {
  const methods = {};
  const { prototype } = (rawBinding('tcp_wrap') as { TCP: { prototype: object } }).TCP;
  for (let from = prototype; from !== Object.prototype; from = Object.getPrototypeOf(from) as object)
    for (const name of Object.getOwnPropertyNames(from))
      if (name !== method && name !== 'constructor')
        Object.defineProperty(methods, name, { value: () => 0, configurable: true });
  return Object.assign(() => undefined, { prototype: methods });
}

test('where requests of writes have no number, public streams take over', async (t) => {
  const WriteWrap = function (): void {};
  withBindings(t, (name, raw) => (name === 'stream_wrap' ? { ...raw, WriteWrap } : raw));
  await assertRefused();
});

for (const method of [
  'onread',
  'useUserBuffer',
  'readStart',
  'writeBuffer',
  'reset',
  'shutdown',
  'listen',
  'connect6',
])
  test(`where handles have no ${method}, public streams take over`, async (t) => {
    const TCP = handlesWithout(method);
    withBindings(t, (name, raw) => (name === 'tcp_wrap' ? { ...raw, TCP } : raw));
    await assertRefused();
  });

test('where all of that is there, handles are tried', (t) => {
  const TCP = handlesWithout(undefined);
  withBindings(t, (name, raw) => (name === 'tcp_wrap' ? { ...raw, TCP } : raw));
  assert.ok(handleWrap(wrapStream) !== undefined);
});

for (const [how, binding] of [
  ['has no bindings', () => undefined],
  ['refuses its bindings', () => assert.fail('No such module')],
] as const)
  test(`where the runtime ${how}, public streams take over`, async (t) => {
    withBindings(t, binding);
    await assertRefused();
  });

/** What is driven of a handle, as far as these tests replace it. */
type Driven = Pick<TcpHandle, 'readStart' | 'readStop' | 'writeBuffer' | 'useUserBuffer'> & {
  onread: () => unknown;
};

type Change = readonly [name: string, change: (handle: Driven) => void, told: RegExp];

/** What another version of Node might do below its sockets once they are used, and what the self-test then says. */
const CHANGES: readonly Change[] = [
  [
    'a read is never told',
    (handle) => {
      handle.readStop();
      handle.readStart = () => 0;
    },
    /did not answer/,
  ],
  [
    'a write answers nothing',
    (handle) => (handle.writeBuffer = () => undefined as unknown as number),
    /closed/,
  ],
  ['a write answers that it was done, and was not', (handle) => (handle.writeBuffer = () => 0), /./],
  [
    'a write throws',
    (handle) => (handle.writeBuffer = () => assert.fail('Illegal invocation')),
    /Illegal invocation/,
  ],
];

/** Has each write's request changed when it has begun. */
function withRequests(handle: Driven, change: (request: WriteRequest) => void): void {
  const write = handle.writeBuffer.bind(handle);
  handle.writeBuffer = (request, bytes) => {
    const answer = write(request, bytes);
    change(request);
    return answer;
  };
}

/** On plain TCP the kernel may take all of the self-test's bytes at once, so that nothing is left to complete. */
const NEVER_COMPLETED: readonly Change[] = [
  [
    'a write is never completed',
    (handle) =>
      withRequests(handle, (request) =>
        Object.defineProperty(request, 'oncomplete', {
          get: () => () => undefined,
          set() {},
          configurable: true,
        }),
      ),
    /did not answer/,
  ],
  [
    'a write always says that it is under way',
    (handle) => withRequests(handle, (request) => (request.getAsyncId = () => 1)),
    /did not answer/,
  ],
];

/** The self-test's three seconds are a tenth of one here, for what is never told. */
const SHORTER = 30;

function shortenTimes(t: TestContext): void {
  const real = setTimeout;
  t.mock.method(globalThis, 'setTimeout', (then: () => void, ms: number) => real(then, ms / SHORTER));
}

/** What is below a connection, which may be a handle without a socket. */
function drivenOf(connection: Connection): Driven {
  if (connection instanceof TcpConnection) return connection.handle;
  return (connection as unknown as { _handle: Driven })._handle;
}

for (const kind of ['plain TCP', 'TLS'] as const)
  for (const [name, change, told] of kind === 'TLS' ? [...CHANGES, ...NEVER_COMPLETED] : CHANGES)
    test(`where on ${kind} ${name}, public streams take over`, async (t) => {
      const handles = handleWrap(wrapStream);
      assert.ok(handles !== undefined);
      const wrap: Wrap = (connection) => {
        const isTls = connection instanceof TLSSocket;
        if (isTls === (kind === 'TLS')) change(drivenOf(connection));
        return handles(connection);
      };
      const candidate = Object.assign(wrap, { tcp: handles.tcp });
      if (kind === 'plain TCP') {
        shortenTimes(t);
        const chosen = await tryTransport(candidate);
        assert.equal(chosen.kind, 'stream');
        assert.match(chosen.reason, told);
        return;
      }
      const chosen = await tryTransport(candidate);
      assert.equal(chosen.kind, 'handle');
      shortenTimes(t);
      assert.match((await chosen.tryTls()) ?? '', told);
    });
