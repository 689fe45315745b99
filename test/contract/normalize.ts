import { webhookHost } from '../testing/api-server.ts';
import { isObject, type Json } from './json.ts';

/** What differs from run to run and from server to server, and nothing else. */
export interface Placeholders {
  /** Random part of every name that a scenario makes. */
  id: string;
  /** Keeps metadata.managedFields. */
  managedFields: boolean;
}

const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, '<uuid>'],
  [/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z/g, '<microtime>'],
  [/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, '<time>'],
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]+/g, '<jwt>'],
  [/\b10\.\d{1,3}\.\d{1,3}\.\d{1,3}\b/g, '<service address>'],
  // Addresses of the server and of webhooks.
  [/\b127\.\d{1,3}\.\d{1,3}\.\d{1,3}:\d+\b/g, '<address>'],
  [new RegExp(`\\b${webhookHost.replaceAll('.', '\\.')}:\\d+\\b`, 'g'), '<address>'],
  // generateName's suffix.
  [/\bgenerated-[bcdfghjklmnpqrstvwxz2456789]{5}\b/g, 'generated-<suffix>'],
  [/\bx509certsha256=[0-9a-f]+/gi, '<certificate>'],
  // Where and how its own code failed: Go's words for what JSON is, differences of its structures, its places in the source.
  [/json parse error: .*/g, 'json parse error: <why>'],
  [/\n@@ [^]*$/g, ''],
  [/, got [^]*$/g, ', got <value>'],
  [/^error (strict )?decoding YAML: [^]*$/, 'error decoding YAML: <why>'],
  [/Object 'Kind' is missing in .*/g, "Object 'Kind' is missing in <object>"],
  [/ \(\*core\.\w+\)/g, ''],
  [/ in scheme "[^"]*"/g, ''],
  [/continue key is not valid: .*/g, 'continue key is not valid: <why>'],
  // The whole object, echoed in the order and with the types of the server's own structures.
  [/Invalid value: "(?:\{|map\[)(?:[^"\\]|\\.)*"/g, 'Invalid value: "<object>"'],
];

/** Fields whose values only say when something was written. */
const VERSION_FIELDS = new Set(['resourceVersion', 'continue']);

/** A copy of an answer in which only what the contract promises is left. */
export function normalize(value: unknown, placeholders: Placeholders): unknown {
  if (typeof value === 'string') return normalizeText(value, placeholders);
  if (Array.isArray(value)) return value.map((item) => normalize(item, placeholders));
  if (!isObject(value)) return value;
  const result: Json = {};
  for (const [key, child] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (key === 'managedFields' && !placeholders.managedFields) continue;
    if (key === 'storageVersionHash') continue;
    if (key === 'status' && value['kind'] === 'Deployment') continue;
    if (key === 'managedFields') {
      result[key] = normalize(withoutControllers(child), placeholders);
      continue;
    }
    if (key === 'cells') {
      result[key] = normalize(ageless(child), placeholders);
      continue;
    }
    if (key === 'causes') {
      result[key] = withoutRepetition(normalize(child, placeholders));
      continue;
    }
    if (key === 'kubernetes.io/description') continue;
    if (key === 'columnDefinitions') {
      result[key] = normalize(withoutDescriptions(child), placeholders);
      continue;
    }
    const name = normalizeText(key, placeholders);
    result[name] = isVersion(key, child) ? `<${key}>` : normalize(child, placeholders);
  }
  return result;
}

function ageless(cells: unknown): unknown {
  if (!Array.isArray(cells)) return cells;
  return cells.map((cell: unknown) => (typeof cell === 'string' && /^\d+[smh]$/.test(cell) ? '<age>' : cell));
}

/** A real server validates some metadata twice, and says so twice. */
function withoutRepetition(causes: unknown): unknown {
  if (!Array.isArray(causes)) return causes;
  const texts = causes.map((cause) => JSON.stringify(cause));
  return causes.filter((_cause, index) => texts.indexOf(texts[index] ?? '') === index);
}

/** A controller writes status whenever it comes to it, and the order of owners is that of the seconds in which they wrote. */
function withoutControllers(entries: unknown): unknown {
  if (!Array.isArray(entries)) return entries;
  const identity = (entry: unknown): string =>
    isObject(entry)
      ? ['operation', 'manager', 'subresource'].map((field) => String(entry[field])).join()
      : '';
  return entries
    .filter(
      (entry) => !isObject(entry) || !/^(kube-controller-manager|system:)/.test(String(entry['manager'])),
    )
    .toSorted((a, b) => (identity(a) < identity(b) ? -1 : 1));
}

/** Descriptions of built-in types' columns are documentation, which the embedded cluster leaves out. */
function withoutDescriptions(columns: unknown): unknown {
  if (!Array.isArray(columns)) return columns;
  return columns.map((column: unknown) => {
    if (!isObject(column)) return column;
    const { description: _description, ...rest } = column;
    return rest;
  });
}

function isVersion(key: string, value: unknown): boolean {
  if (typeof value === 'number') return key === 'nodePort';
  return VERSION_FIELDS.has(key) && typeof value === 'string' && value !== '' && value !== '0';
}

function normalizeText(text: string, { id }: Placeholders): string {
  let result = text.replaceAll(id, '<id>');
  for (const [pattern, placeholder] of PATTERNS) result = result.replace(pattern, placeholder);
  return result;
}
