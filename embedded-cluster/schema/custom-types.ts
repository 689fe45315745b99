import type {
  CustomResourceDefinition,
  CustomResourceDefinitionVersion,
} from '../../api/kubernetes-types.ts';
import type { ResourceType, Subresource } from '../types.ts';
import type { JsonSchema } from './json-schema.ts';
import { CustomSchema } from './object-schema.ts';
import { customPrinter } from './printing/custom-printer.ts';
import { typeOfCustomResource } from './type-node.ts';
import type { FieldError, ServedType } from './types.ts';
import { validateCrdSpec } from './validation/crd.ts';

const verbs = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];

/**
 * The types that a CustomResourceDefinition serves, one for each served version. With errors there are no types. CEL rules
 * (`x-kubernetes-validations`) are accepted and not evaluated.
 */
export function compileCrd(crd: CustomResourceDefinition): { types: ServedType[]; errors: FieldError[] } {
  const errors = validateCrdSpec(crd);
  if (errors.length > 0) return { types: [], errors };
  const types = crd.spec.versions
    .filter((version) => version.served)
    .map((version) => compileVersion(crd, version));
  return { types, errors: [] };
}

function compileVersion(crd: CustomResourceDefinition, version: CustomResourceDefinitionVersion): ServedType {
  const { group, names, scope } = crd.spec;
  const { kind, plural } = names;
  const namespaced = scope === 'Namespaced';
  const root = typeOfCustomResource((version.schema?.openAPIV3Schema as JsonSchema | undefined) ?? {});
  const resource: ResourceType = {
    group,
    version: version.name,
    kind,
    listKind: names.listKind ?? `${kind}List`,
    plural,
    singular: names.singular ?? kind.toLowerCase(),
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    namespaced,
    verbs,
    subresources: subresourcesOf(version, kind),
    custom: true,
  };
  const schema = new CustomSchema(root, root.schema, {
    group,
    version: version.name,
    kind,
    namespaced,
    hasStatus: version.subresources?.status !== undefined,
    custom: true,
  });
  return { resource, schema, printer: customPrinter(version.additionalPrinterColumns) };
}

function subresourcesOf(version: CustomResourceDefinitionVersion, kind: string): Subresource[] {
  const result: Subresource[] = [];
  const subresourceVerbs = ['get', 'patch', 'update'];
  if (version.subresources?.status !== undefined) {
    result.push({ name: 'status', kind, verbs: subresourceVerbs });
  }
  if (version.subresources?.scale !== undefined) {
    result.push({
      name: 'scale',
      kind: 'Scale',
      group: 'autoscaling',
      version: 'v1',
      verbs: subresourceVerbs,
    });
  }
  return result;
}
