import { setSpan } from '../bytes/span.ts';
import { fieldIdOf } from '../message/field-names.ts';
import { Head } from '../message/head.ts';

export interface RequestParts {
  readonly method?: string;
  readonly path?: string;
  readonly authority?: string;
  /** Latin-1, as HTTP has them; names in lower case. */
  readonly fields?: readonly (readonly [name: string, value: string])[];
}

/** A request's head as a codec hands it on: `GET /` of `web.shop:80` where nothing else is said. */
export function requestHead(parts: RequestParts = {}): Head {
  const { method = 'GET', path = '/', authority = 'web.shop:80', fields = [] } = parts;
  const head = new Head();
  setSpan(head.method, method);
  setSpan(head.path, path);
  setSpan(head.authority, authority);
  for (const [name, value] of fields) {
    const n = Buffer.from(name, 'latin1');
    const v = Buffer.from(value, 'latin1');
    head.add(fieldIdOf(n, 0, n.length), n, 0, n.length, v, 0, v.length);
  }
  return head;
}
