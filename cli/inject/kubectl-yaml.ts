import {
  boolYaml11Tag,
  defineScalarTag,
  dump,
  FAILSAFE_SCHEMA,
  floatCoreTag,
  intCoreTag,
  load,
  mergeTag,
  nullYaml11Tag,
  Schema,
} from 'js-yaml';

const OCTAL = /^([-+]?)0o?([0-7]+)$/;

/** File modes are written `0644`, which YAML 1.2 reads as a decimal number. */
const intTag = defineScalarTag(intCoreTag.tagName, {
  ...intCoreTag,
  implicitFirstChars: null,
  resolve: (source, isExplicit, tagName) => {
    const [, sign = '', digits] = OCTAL.exec(source) ?? [];
    if (digits === undefined) return intCoreTag.resolve(source, isExplicit, tagName);
    return Number.parseInt(`${sign}${digits}`, 8);
  },
});

/**
 * YAML as kubectl reads it (goyaml, which is neither 1.1 nor 1.2): `yes` is true, `0644` is octal, `<<` merges, and times of day and dates are text.
 */
const KUBECTL_SCHEMA = new Schema([
  ...FAILSAFE_SCHEMA.tags,
  nullYaml11Tag,
  boolYaml11Tag,
  intTag,
  floatCoreTag,
  mergeTag,
]);

/** The value of one YAML document, or of JSON. Throws an error that names the line. */
export function loadDocument(text: string): unknown {
  return load(text, { schema: KUBECTL_SCHEMA });
}

/** The documents of a stream, each as its own text with its comments. */
export function splitDocuments(stream: string): string[] {
  // The marker is one at the start of a line only, and no text of a document can have one there: block scalars are indented.
  return stream.split(/^---(?=\s|$)/m).filter((text) => text.replace(/^\s*#.*$/gm, '').trim() !== '');
}

/** A value as a YAML document that every version of YAML reads the same way. */
export function dumpDocument(value: object): string {
  return dump(value, { noRefs: true, lineWidth: 160 });
}
