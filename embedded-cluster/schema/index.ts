/** The door of the schema folder: what the API server knows of every kind it serves. */
export { builtinTypes } from './builtin-types.ts';
export { compileCrd } from './custom-types.ts';
export { jsonPatch } from './json-patch.ts';
export { mergePatch } from './merge-patch.ts';
export { openApiV3Document, openApiV3Index } from './openapi.ts';
export type { ObjectSchema, ServedType } from './types.ts';
