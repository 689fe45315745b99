import { rawBinding, type StreamHandle } from './stream-bindings.ts';

/** Where one end of a connection is. The runtime fills it in. */
export interface EndPoint {
  address?: string;
  port?: number;
  family?: string;
}

/** A connect under way. */
export interface ConnectRequest {
  oncomplete: (status: number) => void;
}

/** A half-close under way. */
export interface ShutdownRequest {
  oncomplete: () => void;
}

/** A TCP connection of the runtime's, without the socket above it. Calls that return a number: 0, or the system's error. */
export interface TcpHandle extends StreamHandle {
  readonly fd: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  bind(address: string, port: number): number;
  bind6(address: string, port: number, flags: number): number;
  connect(request: ConnectRequest, address: string, port: number): number;
  connect6(request: ConnectRequest, address: string, port: number): number;
  getpeername(into: EndPoint): number;
  getsockname(into: EndPoint): number;
  setKeepAlive(on: boolean, afterSeconds: number): number;
  setNoDelay(on: boolean): number;
  shutdown(request: ShutdownRequest): number;
  /** `closed` is called in a later turn. */
  close(closed?: () => void): void;
  /** As `close`, with an RST for the peer. Not while a half-close is under way: the handle could then never be closed. */
  reset(closed: () => void): number;
}

/** Without a slot of its own for `onread` the runtime does not throw at the first read: it aborts the process. */
const HANDLE_MEMBERS = [
  'onread',
  'bind',
  'bind6',
  'connect',
  'connect6',
  'getpeername',
  'getsockname',
  'setKeepAlive',
  'setNoDelay',
  'shutdown',
  'close',
  'reset',
  'useUserBuffer',
  'readStart',
  'readStop',
  'writeBuffer',
] as const satisfies readonly (keyof TcpHandle)[];

/** What listens. Calls that return a number: 0, or the system's error. */
export interface TcpServerHandle {
  bind(address: string, port: number): number;
  bind6(address: string, port: number, flags: number): number;
  /** A port that is taken is told here. */
  listen(backlog: number): number;
  getsockname(into: EndPoint): number;
  close(): void;
  onconnection: Accepted;
}

const SERVER_METHODS = [
  'bind',
  'bind6',
  'listen',
  'getsockname',
  'close',
] as const satisfies readonly (keyof TcpServerHandle)[];

/** What the runtime offers below its TCP sockets and servers. Internal API, as `StreamBindings`. */
export interface TcpBindings {
  /** A handle that is not connected yet. */
  readonly newHandle: () => TcpHandle;
  readonly ConnectRequest: new () => ConnectRequest;
  readonly ShutdownRequest: new () => ShutdownRequest;
  /** A handle that is to listen. What it accepts goes to `accepted`, not before the next turn of the event loop. */
  readonly newServer: (accepted: Accepted) => TcpServerHandle;
  /** For `bind6`: the address takes nobody who comes by IPv4. */
  readonly ipv6Only: number;
}

/** 0 and a connection, or the error of a single accept: the server goes on. */
export type Accepted = (error: number, handle: TcpHandle | undefined) => void;

/** The bindings of this runtime; undefined when one of them is missing or has another shape. */
export function tcpBindings(): TcpBindings | undefined {
  const tcp = rawBinding('tcp_wrap');
  const streams = rawBinding('stream_wrap');
  if (tcp === undefined || streams === undefined) return undefined;
  const { TCP, TCPConnectWrap, constants } = tcp;
  const { ShutdownWrap } = streams;
  const kinds = (constants ?? {}) as { SOCKET?: unknown; SERVER?: unknown; UV_TCP_IPV6ONLY?: unknown };
  const { SOCKET: socket, SERVER: server, UV_TCP_IPV6ONLY: ipv6Only } = kinds;
  const classes = [TCP, TCPConnectWrap, ShutdownWrap];
  if (!classes.every((one) => typeof one === 'function')) return undefined;
  if (typeof socket !== 'number' || typeof server !== 'number' || typeof ipv6Only !== 'number')
    return undefined;
  const Handle = TCP as new (kind: number) => TcpHandle & TcpServerHandle;
  const { prototype } = Handle as { prototype: object };
  if (![...HANDLE_MEMBERS, ...SERVER_METHODS].every((name) => name in prototype)) return undefined;
  return {
    newHandle: () => new Handle(socket),
    newServer: (accepted) => Object.assign(new Handle(server), { onconnection: accepted }),
    ipv6Only,
    ConnectRequest: TCPConnectWrap as new () => ConnectRequest,
    ShutdownRequest: ShutdownWrap as new () => ShutdownRequest,
  };
}
