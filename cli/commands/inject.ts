import type { WorkloadTransform } from '../../injector/index.ts';
import { type ClusterAccess, openCluster } from '../cluster-access.ts';
import { defineCommand } from '../define-command.ts';
import { UserError } from '../errors.ts';
import { ignoresLinkerd, injectionContext, namespaceMetadata } from '../inject/injection-context.ts';
import { type ManifestArguments, manifestOptions, positionalFiles } from '../inject/options.ts';
import { type ManifestDocument, readManifests } from '../inject/read-manifests.ts';
import { flat, transformManifests } from '../inject/transform-manifests.ts';
import { requireInstallation } from '../install/installation.ts';
import { standardOutput } from '../output.ts';

interface InjectArguments extends ManifestArguments {
  manual: boolean;
  ingress: boolean;
  disable: boolean;
}

export const injectCommand = defineCommand<InjectArguments>({
  command: 'inject <files..>',
  describe:
    'Ask for the sidecar in the workloads of YAML files, folders or standard input (-), and apply them',
  builder: (yargs) =>
    yargs
      .positional('files', positionalFiles)
      .options({
        ...manifestOptions,
        manual: {
          type: 'boolean',
          default: false,
          describe: 'Write the sidecar into the manifest instead of the annotation',
        },
        ingress: { type: 'boolean', default: false, describe: 'Annotate for ingress mode' },
        disable: { type: 'boolean', default: false, describe: 'Annotate so that no sidecar is added' },
      })
      .example('kubectl get deploy web -o yaml | $0 inject - -o yaml | kubectl apply -f -', "Linkerd's way"),
  handler: async (args) => {
    refuseTwoWays(args);
    const documents = await readManifests(args.files);
    const print = args.dryRun || args.output !== undefined;
    const cluster = print && !args.manual ? undefined : await openCluster(args);
    try {
      const transform = await transformOf(args, documents, cluster);
      const destination =
        print || cluster === undefined
          ? ({ kind: 'print', format: args.output ?? 'yaml' } as const)
          : ({ kind: 'apply', cluster, namespace: args.namespace } as const);
      await transformManifests(documents, transform, destination, standardOutput);
    } finally {
      await cluster?.client.close();
    }
  },
});

function refuseTwoWays(args: InjectArguments): void {
  const ways = (['manual', 'ingress', 'disable'] as const).filter((way) => args[way]);
  if (ways.length < 2) return;
  throw new UserError(
    `--${ways.join(' and --')} do not go together`,
    'Each says another thing about the sidecar: name one.',
  );
}

async function transformOf(
  args: InjectArguments,
  documents: readonly ManifestDocument[],
  cluster: ClusterAccess | undefined,
): Promise<WorkloadTransform> {
  const { namespace } = args;
  if (args.disable) return { kind: 'disable' };
  if (!args.manual || cluster === undefined) {
    return { kind: 'annotate', value: args.ingress ? 'ingress' : 'enabled', namespace };
  }
  const values = await requireInstallation(cluster, args.isthmusNamespace);
  const objects = documents.flatMap(({ object }) => flat(object));
  const known = await namespaceMetadata(cluster, objects, namespace);
  const context = {
    ...injectionContext(values),
    ignoreLinkerdAnnotation: await ignoresLinkerd(cluster, values),
  };
  return { kind: 'manual', namespace, namespaceMeta: (name) => known.get(name), context };
}
