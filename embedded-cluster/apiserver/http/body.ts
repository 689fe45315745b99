import type { IncomingMessage } from 'node:http';
import { load, YAMLException } from 'js-yaml';
import { decodeProtobuf, PROTOBUF_TYPE } from '../protobuf/decode.ts';
import { badRequest, bodyTooLarge, unsupportedMediaType } from '../errors.ts';

/** kube-apiserver's limit of a request body. */
const MAX_BODY_BYTES = 3 * 1024 * 1024;

/** A client that is still sending would not see its answer: this much more is read and dropped before it gets one. */
const MAX_DRAINED_BYTES = 16 * 1024 * 1024;

/** Reads a body; throws 413 past the limit (what comes after is not kept). */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES + MAX_DRAINED_BYTES) break;
    if (size <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  if (size > MAX_BODY_BYTES) throw bodyTooLarge(MAX_BODY_BYTES);
  return Buffer.concat(chunks);
}

/** `application/json` of `application/json; charset=utf-8`; JSON when there is none. */
export function mediaType(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? 'application/json').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

const JSON_TYPES = new Set([
  'application/json',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
]);
const YAML_TYPES = new Set(['application/yaml', 'application/apply-patch+yaml']);

/** A body as a JSON value; undefined when it is empty. Throws 400, 415. */
export function parseBody(body: Buffer, type: string): unknown {
  if (body.length === 0) return undefined;
  const text = body.toString('utf8');
  if (JSON_TYPES.has(type)) {
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      throw badRequest(
        `the object provided is unrecognized: couldn't get version/kind; json parse error: ${messageOf(error)}`,
      );
    }
  }
  if (YAML_TYPES.has(type)) {
    try {
      // A key that comes twice counts as it comes last; `duplicateYamlKey` finds it.
      return load(text, { json: true });
    } catch (error) {
      throw badRequest(`error decoding YAML: ${messageOf(error)}`);
    }
  }
  if (type === PROTOBUF_TYPE) return decodeProtobuf(body);
  throw unsupportedMediaType(['application/json', 'application/yaml', PROTOBUF_TYPE]);
}

/** What is to be said of a YAML text that gives a key twice, as kube-apiserver says it. */
export function duplicateYamlKey(text: string): string | undefined {
  try {
    load(text);
    return undefined;
  } catch (error) {
    if (!(error instanceof YAMLException) || error.reason !== 'duplicated mapping key') return undefined;
    const line = error.mark?.line ?? 0;
    const [key = ''] = text.split('\n')[line]?.trim().split(':') ?? [];
    return `line ${line + 1}: key ${JSON.stringify(key)} already set in map`;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
