import { METHODS } from 'node:http';

/** A kind of message on which node:http and we differ. */
export interface Difference {
  readonly when: RegExp;
  readonly why: string;
}

/** Requests that node:http accepts and we refuse. */
export const REFUSED_REQUESTS: readonly Difference[] = [
  { when: /^\S+ \S+ HTTP\/2\.0\r\n/, why: 'a version that HTTP/1 does not have: RFC 9112 section 2.3' },
  { when: /^\S+ \S+\r\n/, why: 'HTTP/0.9 has neither fields nor a way to tell an error' },
  { when: /^\S+ \S*#/, why: 'a fragment is no part of a target: RFC 9112 section 3.2' },
  { when: /^(?!OPTIONS)\S+ \* /, why: '* is for OPTIONS alone: RFC 9112 section 3.2.4' },
  { when: /^\S+ https:/i, why: 'what is to be encrypted is not asked for in the clear' },
  {
    when: /^\S+ (?![/*]|http:\/\/)\S+ /i,
    why: 'a target without a slash is none of the four forms: RFC 9112 section 3.2',
  },
  { when: /\r\nhost:[^]*\r\nhost:/i, why: 'two Hosts: RFC 9112 section 3.2 demands a 400' },
  { when: /\r\nhost:[^\r]*[@/ ]\w/i, why: 'a Host that another hop could read as another one' },
  {
    when: /^\S+ \S+ HTTP\/1\.0\r\n[^]*\r\ntransfer-encoding:/i,
    why: 'HTTP/1.0 has no codings: RFC 9112 section 6.1 calls the framing faulty',
  },
  {
    when: /\r\ntransfer-encoding: *(?!chunked\r)/i,
    why: 'a coding that is not implemented, or not the last: 501, 400',
  },
  {
    when: /\r\nconnection:[^\r]*\b(?:host|content-length)\b/i,
    why: 'fields that frame or route are not of the hop',
  },
  {
    when: /^\S+ \S+ [^]*\r\nupgrade: /i,
    why: 'what the app is asked to leave HTTP for is answered by it, not by us',
  },
];

/** Requests that we accept and node:http refuses. */
export const REFUSED_BY_NODE: readonly Difference[] = [
  {
    when: /^\S+ [^ ]*[\x80-\xff]/,
    why: 'bytes above ASCII in a target: sent by real clients, and read as one thing by everybody',
  },
  {
    when: new RegExp(`^(?!(?:${METHODS.join('|')}) )[!-~]+ `),
    why: 'a method that is not among those it knows: any token is one (RFC 9110 section 9.1)',
  },
  {
    when: /\r\ntransfer-encoding:[ \t]*(?:\t[ \t]*chunked|chunked[ \t]*\t)/i,
    why: 'a tab around the coding: white space as any other (RFC 9110 section 5.6.3), and never passed on, for we write the field ourselves',
  },
];

/** Responses that node:http accepts and we refuse. */
export const REFUSED_RESPONSES: readonly Difference[] = [
  { when: /^HTTP\/(?!1\.[01] )/, why: 'a version that HTTP/1 does not have' },
  {
    when: /^HTTP\/1\.[01] (?![1-9][0-9][0-9][ \r])/,
    why: 'a status is three digits, from 100 on: RFC 9110 section 15',
  },
  { when: /\r\ntransfer-encoding: *(?!chunked\r)/i, why: 'a coding that is not implemented' },
  {
    when: /\r\n(?:content-length|transfer-encoding):[^]*\r\n(?:content-length|transfer-encoding):/i,
    why: 'framed twice',
  },
  { when: /^HTTP\/1\.0 [^]*\r\ntransfer-encoding:/i, why: 'HTTP/1.0 has no codings' },
  { when: /^HTTP\/1\.1 101 /, why: 'a change of protocols that nobody asked for: RFC 9110 section 7.8' },
];
