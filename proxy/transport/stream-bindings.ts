import type { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';

/** A write under way, which may serve again when it is over. */
export interface WriteRequest {
  /** Called when it is over. It may be set as long as that is not the case; where it is not, nobody is called. */
  oncomplete: (status: number) => void;
  /** The number of the write that is under way by it; below 0: none is. */
  getAsyncId(): number;
}

/** The part of a socket's handle that we drive. */
export interface StreamHandle {
  onread: () => void;
  useUserBuffer(buffer: Buffer): void;
  readStart(): number;
  readStop(): number;
  writeBuffer(request: WriteRequest, buffer: Uint8Array): number;
  /** Bytes of the writes under way that the kernel has not taken; of TLS: that are not told to be taken. */
  readonly writeQueueSize?: number;
  /** Of TLS: the TCP connection below. */
  readonly _parent?: { readonly writeQueueSize?: number };
}

/** What the runtime offers below its streams. Internal API: only this and `tcp-bindings.ts` use it, and a self-test guards both. */
export interface StreamBindings {
  readonly WriteWrap: new () => WriteRequest;
  /** Written by the runtime before each callback. */
  readonly state: Int32Array;
  /** Indices into `state`. */
  readonly readBytesOrError: number;
  readonly lastWriteWasAsync: number;
  handleOf(socket: Socket): StreamHandle | undefined;
}

interface RawBinding {
  WriteWrap?: unknown;
  streamBaseState?: unknown;
  kReadBytesOrError?: unknown;
  kLastWriteWasAsync?: unknown;
}

/** The bindings of this runtime; undefined when one of them is missing or has another shape. */
export function streamBindings(): StreamBindings | undefined {
  const raw: RawBinding | undefined = rawBinding('stream_wrap');
  if (raw === undefined) return undefined;
  const { WriteWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync } = raw;
  if (typeof WriteWrap !== 'function' || !(streamBaseState instanceof Int32Array)) return undefined;
  const { prototype } = WriteWrap as { prototype?: Partial<WriteRequest> };
  if (typeof prototype?.getAsyncId !== 'function') return undefined;
  if (typeof kReadBytesOrError !== 'number' || typeof kLastWriteWasAsync !== 'number') return undefined;
  return {
    WriteWrap: WriteWrap as new () => WriteRequest,
    state: streamBaseState,
    readBytesOrError: kReadBytesOrError,
    lastWriteWasAsync: kLastWriteWasAsync,
    handleOf,
  };
}

/** What the runtime has under a name; undefined: nothing. */
export function rawBinding(name: string): Readonly<Record<string, unknown>> | undefined {
  const { binding } = process as unknown as { binding?: (name: string) => unknown };
  if (typeof binding !== 'function') return undefined;
  try {
    return binding(name) as Readonly<Record<string, unknown>>;
  } catch {
    // A runtime that no longer knows this binding.
    return undefined;
  }
}

/** The TCP connection below TLS, as far as it is closed. */
interface ClosableHandle {
  close: (closed: () => void) => void;
  reset?: (closed: () => void) => number;
}

/**
 * Has the TCP connection below a TLS socket closed by a reset whenever the socket closes it: the runtime itself resets
 * plain sockets alone. Without it an end that is not one looks to the runtime at the other end as one that is, for it
 * takes a FIN without close_notify for that. Where this runtime has it in another way, that is what the peer sees.
 */
export function closeByReset(socket: Socket): void {
  const { _handle: handle } = socket as unknown as { _handle?: { _parent?: ClosableHandle } | null };
  const below = handle?._parent;
  const reset = below?.reset;
  if (below === undefined || typeof reset !== 'function') return;
  const { close } = below;
  below.close = (closed) => {
    if (reset.call(below, closed) !== 0) close.call(below, closed);
  };
}

function handleOf(socket: Socket): StreamHandle | undefined {
  const { _handle: handle } = socket as unknown as { _handle?: Partial<StreamHandle> | null };
  if (handle === undefined || handle === null || !('onread' in handle)) return undefined;
  const methods = [handle.useUserBuffer, handle.readStart, handle.readStop, handle.writeBuffer];
  return methods.every((method) => typeof method === 'function') ? (handle as StreamHandle) : undefined;
}

/** The system's name of a code that the runtime's insides answer with (`ECONNRESET`). */
export function errorName(code: number): string {
  try {
    return getSystemErrorName(code);
  } catch {
    // Not a system error: TLS reports some of its own.
    return 'EPROTO';
  }
}
