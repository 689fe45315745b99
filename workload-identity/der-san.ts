import { DerError, DerReader, element, sequence } from './der.ts';
import { generalName } from './x509-names.ts';

/** The subject alternative names of a certificate or a request, in their order by kind. */
export interface SubjectAltNames {
  dns: string[];
  uri: string[];
  /** How many names of other kinds there are (IP, e-mail, directory, …). */
  others: number;
}

/** Takes a SubjectAltName value apart. Names outside printable ASCII are refused: nothing in the mesh is named so. */
export function readSubjectAltNames(value: Uint8Array): SubjectAltNames {
  const outer = new DerReader(value);
  const names = outer.enter();
  outer.end();
  const found: SubjectAltNames = { dns: [], uri: [], others: 0 };
  while (!names.done) {
    const name = names.read();
    if (name.tag === generalName.dns) found.dns.push(ascii(name.content));
    else if (name.tag === generalName.uri) found.uri.push(ascii(name.content));
    else found.others++;
  }
  return found;
}

function ascii(bytes: Buffer): string {
  const text = bytes.toString('latin1');
  if (!/^[\x21-\x7e]+$/.test(text)) throw new DerError('a subject alternative name is not printable ASCII');
  return text;
}

/** Writes a SubjectAltName value: DNS names first, then URIs. */
export function writeSubjectAltNames(names: { dns: readonly string[]; uri: readonly string[] }): Buffer {
  return sequence(
    ...names.dns.map((name) => element(generalName.dns, Buffer.from(name, 'latin1'))),
    ...names.uri.map((name) => element(generalName.uri, Buffer.from(name, 'latin1'))),
  );
}
