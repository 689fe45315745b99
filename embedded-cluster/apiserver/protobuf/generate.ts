/**
 * Makes `fields.json`: which field of Kubernetes' protobuf encoding is which JSON field. The OpenAPI documents don't
 * have the field numbers; the struct tags of the Go modules k8s.io/api and k8s.io/apimachinery do. To regenerate:
 *
 *     go mod download k8s.io/api@v0.34.1 k8s.io/apimachinery@v0.34.1
 *     node embedded-cluster/apiserver/protobuf/generate.ts "$(go env GOMODCACHE)" v0.34.1
 *     npx oxfmt embedded-cluster/apiserver/protobuf/fields.json
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** API packages whose objects clients may send in protobuf: the built-in groups that are served. */
const PACKAGES = [
  'core/v1',
  'apps/v1',
  'batch/v1',
  'discovery/v1',
  'coordination/v1',
  'events/v1',
  'rbac/v1',
  'authentication/v1',
  'authorization/v1',
  'admissionregistration/v1',
  'policy/v1',
  'autoscaling/v1',
  'autoscaling/v2',
  'networking/v1',
  'node/v1',
  'scheduling/v1',
];

/** Types that have a JSON form of their own: read by hand in `decode.ts`. */
const SPECIAL: Readonly<Record<string, string>> = {
  'meta/v1.Time': 'time',
  'meta/v1.MicroTime': 'microtime',
  'meta/v1.Duration': 'duration',
  'meta/v1.FieldsV1': 'raw',
  'runtime.RawExtension': 'raw',
  'resource.Quantity': 'quantity',
  'intstr.IntOrString': 'intOrString',
};

const SCALARS: Readonly<Record<string, string>> = {
  string: 'string',
  bool: 'bool',
  int32: 'int',
  int64: 'int',
  int: 'int',
  float64: 'double',
};

/** Names under which the packages import one another. */
const IMPORTS: Readonly<Record<string, string>> = {
  metav1: 'meta/v1',
  v1: 'core/v1',
  corev1: 'core/v1',
  apiv1: 'core/v1',
};

interface Field {
  number: string;
  /** '-' when inlined. */
  name: string;
  type: string;
  /** Left out of JSON when it is zero. */
  optional: boolean;
}

interface Source {
  structs: Map<string, Field[]>;
  aliases: Map<string, string>;
}

const STRUCT = /^type (\w+) struct \{\n([\s\S]*?)\n\}/gm;
const ALIAS = /^type (\w+) (?!struct|interface)(\S.*)$/gm;
const FIELD = /^\s+(?:(\w+)\s+)?(\*?[\w.[\]*]+)\s+`(?=.*protobuf:"\w+,(\d+))(?=.*json:"([^"]*)")/;

function parsePackage(directory: string, name: string): Source {
  const source: Source = { structs: new Map(), aliases: new Map() };
  for (const file of readdirSync(directory)) {
    if (!file.endsWith('.go') || file.includes('generated') || file.endsWith('_test.go')) continue;
    const text = readFileSync(join(directory, file), 'utf8');
    for (const [, type = '', body = ''] of text.matchAll(STRUCT)) {
      source.structs.set(`${name}.${type}`, parseFields(body, name));
    }
    for (const [, type = '', target = ''] of text.matchAll(ALIAS)) {
      source.aliases.set(`${name}.${type}`, typeName(target.split('//', 1)[0]?.trim() ?? '', name));
    }
  }
  return source;
}

function parseFields(body: string, packageName: string): Field[] {
  const fields: Field[] = [];
  for (const line of body.split('\n')) {
    const match = FIELD.exec(line);
    if (match === null) continue;
    const [, , type = '', number = '', json = ''] = match;
    const [jsonName = '', ...flags] = json.split(',');
    fields.push({
      number,
      name: flags.includes('inline') || jsonName === '' ? '-' : jsonName,
      type: typeName(type, packageName),
      optional: flags.includes('omitempty') && !type.startsWith('*'),
    });
  }
  return fields;
}

/** A Go type as `fields.json` writes it: `[]x`, `map:x`, a scalar, or a package with a name. */
function typeName(type: string, packageName: string): string {
  const bare = type.replace(/^\*/, '');
  if (bare === '[]byte') return 'bytes';
  if (bare.startsWith('[]')) return `[]${typeName(bare.slice(2), packageName)}`;
  const map = /^map\[\w+\](.+)$/.exec(bare);
  if (map !== null) return `map:${typeName(map[1] ?? '', packageName)}`;
  if (SCALARS[bare] !== undefined) return SCALARS[bare];
  const qualified = /^(\w+)\.(\w+)$/.exec(bare);
  if (qualified === null) return `${packageName}.${bare}`;
  const [, imported = '', name = ''] = qualified;
  if (imported === 'types') return 'string';
  return `${IMPORTS[imported] ?? imported}.${name}`;
}

/** Follows `type PodPhase string`; messages stay as they are. A named list is a message around a list in protobuf. */
function resolve(type: string, sources: Source): string {
  const prefix = /^(\[\]|map:)/.exec(type)?.[0];
  if (prefix !== undefined) return prefix + resolve(type.slice(prefix.length), sources);
  if (SPECIAL[type] !== undefined) return SPECIAL[type];
  const alias = sources.aliases.get(type);
  if (alias === undefined) return type;
  const resolved = resolve(alias, sources);
  return resolved.startsWith('[]') ? `items:${resolved.slice(2)}` : resolved;
}

/** The messages that objects are made of: those with metadata, and what they hold. Lists are never sent. */
function reachable({ structs, aliases }: Source): Set<string> {
  const found = new Set<string>(['meta/v1.DeleteOptions']);
  for (const [key, fields] of structs) {
    if (!key.endsWith('List') && fields.some(({ name }) => name === 'metadata')) found.add(key);
  }
  for (const key of found) {
    for (const { type } of structs.get(key) ?? []) {
      const name = resolve(type, { structs, aliases }).replace(/^(\[\]|map:|items:)+/, '');
      if (structs.has(name) && SPECIAL[name] === undefined) found.add(name);
    }
  }
  return found;
}

function main(cache: string, version: string): void {
  const sources: Source = { structs: new Map(), aliases: new Map() };
  const add = (directory: string, name: string): void => {
    if (!existsSync(directory)) throw new Error(`${directory} is missing; run go mod download first`);
    const { structs, aliases } = parsePackage(directory, name);
    for (const [key, value] of structs) sources.structs.set(key, value);
    for (const [key, value] of aliases) sources.aliases.set(key, value);
  };
  const machinery = join(cache, `k8s.io/apimachinery@${version}/pkg`);
  add(join(machinery, 'apis/meta/v1'), 'meta/v1');
  for (const name of PACKAGES) add(join(cache, `k8s.io/api@${version}`, name), name);
  const output: Record<string, string> = {};
  for (const key of [...reachable(sources)].sort()) {
    const fields = sources.structs.get(key) ?? [];
    output[key] = fields
      .map(
        ({ number, name, type, optional }) =>
          `${number} ${name} ${resolve(type, sources)}${optional ? '?' : ''}`,
      )
      .join(', ');
  }
  writeFileSync(join(import.meta.dirname, 'fields.json'), `${JSON.stringify(output, null, 1)}\n`);
}

const [cache, version] = process.argv.slice(2);
if (cache === undefined || version === undefined) throw new Error('usage: generate.ts GOMODCACHE VERSION');
main(cache, version);
