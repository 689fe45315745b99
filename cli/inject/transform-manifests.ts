import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { injectManifest, type WorkloadReport, type WorkloadTransform } from '../../injector/index.ts';
import { asUser, type ClusterAccess } from '../cluster-access.ts';
import { applyObjects } from '../install/apply.ts';
import { mark, type ObjectFormat, type Output, renderObjects } from '../output.ts';
import { dumpDocument } from './kubectl-yaml.ts';
import type { ManifestDocument } from './read-manifests.ts';

/** Where the transformed objects go: printed, or applied to a cluster. */
export type Destination =
  | { kind: 'print'; format: ObjectFormat }
  | { kind: 'apply'; cluster: ClusterAccess; namespace: string };

/** Transforms documents, prints or applies all of them, and says of each workload what became of it. */
export async function transformManifests(
  documents: readonly ManifestDocument[],
  transform: WorkloadTransform,
  destination: Destination,
  output: Output,
): Promise<void> {
  const results = documents.map(({ object, source }) => ({
    ...injectManifest(object, transform),
    object,
    source,
  }));
  const objects = results.map(({ document }) => document);
  if (destination.kind === 'apply') {
    const { cluster, namespace } = destination;
    await asUser(cluster, () => applyObjects(cluster.client, objects.flatMap(flat), namespace));
  } else if (destination.format === 'json') output.out(renderObjects(objects, 'json'));
  else {
    const texts = results.map(({ document, object, source }) =>
      // What nothing was done to stays as it was written.
      document === object ? source.trim() : dumpDocument(document).trim(),
    );
    output.out(texts.map((text) => `---\n${text}\n`).join(''));
  }
  const verb = transform.kind === 'remove' || transform.kind === 'disable' ? 'uninjected' : 'injected';
  for (const report of results.flatMap(({ reports }) => reports)) say(report, verb, output);
}

/** A list cannot be applied: its items can. */
export function flat(object: KubernetesObject): KubernetesObject[] {
  return 'items' in object ? (object.items as KubernetesObject[]) : [object];
}

function say({ kind, name, changed, reason, warnings }: WorkloadReport, verb: string, output: Output): void {
  const what = `${kind.toLowerCase()}/${name}`;
  const why = reason === undefined ? '' : `: ${reason}`;
  const sign = changed ? mark('ok', output.interactive) : '-';
  output.err(`${sign} ${what} ${changed ? verb : `unchanged${why}`}\n`);
  for (const warning of warnings) output.err(`  ${mark('warning', output.interactive)} ${warning}\n`);
}
