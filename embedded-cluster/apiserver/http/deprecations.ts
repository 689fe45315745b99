import type { ServedType } from '../../schema/types.ts';
import { valueAt } from '../json.ts';
import { apiVersionOf, resourceName } from '../registry.ts';
import type { Store } from '../store/store.ts';

/** What a client of an old version is warned of, in kube-apiserver's words; often nothing. */
export function deprecations(store: Store, { resource }: ServedType): string[] {
  if (resourceName(resource) === 'endpoints') {
    return ['v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice'];
  }
  if (!resource.custom) return [];
  const name = `${resource.plural}.${resource.group}`;
  const definition = store.get('customresourcedefinitions.apiextensions.k8s.io', undefined, name);
  const versions = valueAt(definition, 'spec.versions');
  if (!Array.isArray(versions)) return [];
  const own: unknown = versions.find((version) => valueAt(version, 'name') === resource.version);
  if (valueAt(own, 'deprecated') !== true) return [];
  const warning = valueAt(own, 'deprecationWarning');
  if (typeof warning === 'string') return [warning];
  const instead: unknown = versions.find(
    (version) => valueAt(version, 'served') === true && valueAt(version, 'deprecated') !== true,
  );
  const use =
    instead === undefined
      ? ''
      : `; use ${resource.group}/${String(valueAt(instead, 'name'))} ${resource.kind}`;
  return [`${apiVersionOf(resource)} ${resource.kind} is deprecated${use}`];
}
