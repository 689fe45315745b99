import { latin1 } from './target.ts';

/** What a client may have asked when a fuzzed answer comes: one with a body, one that has none, one that may leave HTTP, one whose request still goes on. */
export const REQUESTS = [
  'GET / HTTP/1.1\r\nHost: shop\r\n\r\n',
  'HEAD / HTTP/1.1\r\nHost: shop\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: shop\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\nab',
].map(latin1);
