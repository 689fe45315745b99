import { equalBytes, FieldId, ownField, spanText, type LastingField, type Span } from '../proxy/index.ts';

/**
 * The `forwarded` field (RFC 7239) as gateways use it: `by=<gateway>;for=<client>;host=<authority>;proto=https`, with SPIFFE IDs in quotes. Shows a loop.
 */

/** Does any element say that it came by `gateway`? Reads the field's values strictly enough that quoting cannot hide an element. */
export function cameBy(value: string, gateway: string): boolean {
  for (const element of split(value, ',')) {
    for (const pair of split(element, ';')) {
      const at = pair.indexOf('=');
      if (at < 0 || pair.slice(0, at).trim().toLowerCase() !== 'by') continue;
      if (unquote(pair.slice(at + 1).trim()) === gateway) return true;
    }
  }
  return false;
}

/** The element that a gateway writes. */
export function forwardedElement(gateway: string, client: string, host: string): string {
  return `by=${quote(gateway)};for=${quote(client)};host=${quote(host)};proto=https`;
}

/** The elements of one client's requests. Clients name few hosts: the last one is remembered as bytes, so that most requests cost a comparison. */
export class ForwardedElements {
  readonly #gateway: string;
  readonly #client: string;
  #host = Buffer.alloc(0);
  #element: LastingField | undefined = undefined;

  constructor(gateway: string, client: string) {
    this.#gateway = gateway;
    this.#client = client;
  }

  /** The field for a request to `host`, of one element. */
  of(host: Span): LastingField {
    if (this.#element !== undefined && equalBytes(host.buffer, host.start, host.end, this.#host))
      return this.#element;
    const text = spanText(host);
    this.#host = Buffer.from(text, 'latin1');
    this.#element = ownField(FieldId.forwarded, forwardedElement(this.#gateway, this.#client, text));
    return this.#element;
  }
}

/** Splits at a separator outside of quoted strings. */
function split(text: string, separator: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\' && quoted) i++;
    else if (text[i] === '"') quoted = !quoted;
    else if (text[i] === separator && !quoted) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}

function unquote(text: string): string {
  if (!text.startsWith('"') || !text.endsWith('"') || text.length < 2) return text;
  return text.slice(1, -1).replaceAll(/\\(.)/g, '$1');
}

/** RFC 9110 section 5.6.4. */
function quote(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}
