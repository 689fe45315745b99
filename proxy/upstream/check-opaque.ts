import { causes, type Cause } from '../errors.ts';
import type { Head } from '../message/head.ts';
import type { Exchange } from '../message/message.ts';
import { spanText } from '../bytes/span.ts';

/**
 * CONNECT and opaque bytes belong together. An app would read a CONNECT that travels as HTTP as the start of a tunnel,
 * in which the next client's request looks like bytes of this one.
 */
export function checkOpaque(x: Exchange, head: Head): Cause | undefined {
  const connects =
    head.method.end - head.method.start === CONNECT.length && spanText(head.method) === CONNECT;
  return connects === x.opaque ? undefined : causes.badRequest;
}

const CONNECT = 'CONNECT';
