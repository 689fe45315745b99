import { Head } from '../message/head.ts';
import { setSpan } from '../bytes/span.ts';

/** Head of an opaque stream (ARCHITECTURE.md 4). */
export function connectHead(authority: string): Head {
  const head = new Head();
  setSpan(head.method, 'CONNECT');
  setSpan(head.authority, authority);
  return head;
}
