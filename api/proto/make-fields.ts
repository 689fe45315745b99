/**
 * The third part of `npm run generate`: writes down the fields of all messages that processes of the data plane send
 * and take (`gen/fields.ts`), for `codec.ts`. Running it again changes nothing.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type DescService,
  ScalarType,
} from '@bufbuild/protobuf';
import { Exports, TrustBundles } from './gen/isthmus/control_pb.js';
import { Destination } from './gen/linkerd/destination_pb.js';
import { HttpMethod_RegisteredSchema, Scheme_RegisteredSchema } from './gen/linkerd/http_types_pb.js';
import { Identity } from './gen/linkerd/identity_pb.js';
import { InboundServerPolicies } from './gen/linkerd/inbound_pb.js';
import { OutboundPolicies } from './gen/linkerd/outbound_pb.js';

/** Services that the data plane asks. */
export const SERVICES: readonly DescService[] = [
  Identity,
  TrustBundles,
  Exports,
  Destination,
  InboundServerPolicies,
  OutboundPolicies,
];
/** Enumerations whose names it needs. */
const ENUMS: readonly DescEnum[] = [HttpMethod_RegisteredSchema, Scheme_RegisteredSchema];

/** The messages of those services, and all that they hold. */
export function messagesOf(services: readonly DescService[]): DescMessage[] {
  const found = new Set<DescMessage>();
  const visit = (message: DescMessage): void => {
    if (found.has(message)) return;
    found.add(message);
    for (const { message: inner } of message.fields) if (inner !== undefined) visit(inner);
  };
  for (const { methods } of services) {
    for (const { input, output } of methods) [input, output].forEach(visit);
  }
  return [...found];
}

/** The text of `gen/fields.ts`. */
export function fieldsModule(): string {
  const messages = messagesOf(SERVICES).map(
    (message) =>
      `  '${message.typeName}': '${message.fields
        .toSorted((a, b) => a.number - b.number)
        .map(fieldText)
        .join('; ')}',\n`,
  );
  const enums = ENUMS.map(
    ({ typeName, values }) =>
      `\n/** ${typeName}: what its numbers are called. */\nexport const ${enumName(typeName)} = {\n${values.map(({ number, name }) => `  ${number}: '${name}',\n`).join('')}} as const;\n`,
  );
  return `// Written by make-fields.ts. Do not edit.

/** Fields by their message's name: number, name (behind that of its oneof, if any), type. \`codec.ts\` reads them. */
export const fields: Readonly<Record<string, string>> = {
${messages.join('')}};
${enums.join('')}`;
}

function enumName(typeName: string): string {
  return `${typeName.split('.').slice(-2).join('')}Names`.replace(/^./, (first) => first.toLowerCase());
}

function fieldText(field: DescField): string {
  const name = field.oneof === undefined ? field.localName : `${field.oneof.localName}.${field.localName}`;
  return `${field.number} ${name} ${typeText(field)}`;
}

function typeText(field: DescField): string {
  switch (field.fieldKind) {
    case 'scalar':
      return ScalarType[field.scalar].toLowerCase();
    case 'enum':
      return 'enum';
    case 'message':
      return field.message.typeName;
    case 'list':
      if (field.listKind === 'message') return `${field.message.typeName}[]`;
      return field.listKind === 'enum' ? 'enum[]' : `${ScalarType[field.scalar].toLowerCase()}[]`;
    default:
      if (
        field.mapKind !== 'scalar' ||
        field.mapKey !== ScalarType.STRING ||
        field.scalar !== ScalarType.STRING
      ) {
        throw new Error(`${field.toString()}: only maps of strings by strings are known`);
      }
      return 'map';
  }
}

if (import.meta.main) writeFileSync(join(import.meta.dirname, 'gen', 'fields.ts'), fieldsModule());
