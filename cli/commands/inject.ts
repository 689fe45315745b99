import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import * as yaml from 'js-yaml';
import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { DEFAULT_OPAQUE_PORTS } from '../../api/names.ts';
import { injectManifest, type WorkloadReport, type WorkloadTransform } from '../../injector/index.ts';
import { asUser, openCluster } from '../cluster-access.ts';
import { defineCommand } from '../define-command.ts';
import { UserError } from '../errors.ts';
import { applyObjects } from '../install/apply.ts';
import { requireInstallation } from '../install/installation.ts';
import { type GlobalArguments, renderOptions, STANDARD_INPUT } from '../options.ts';
import { mark, type ObjectFormat, renderObjects, standardOutput } from '../output.ts';

interface InjectArguments extends GlobalArguments {
  files: string[];
  namespace: string;
  manual: boolean;
  ingress: boolean;
  disable: boolean;
  output: ObjectFormat | undefined;
  dryRun: boolean;
}

export const injectCommand = defineCommand<InjectArguments>({
  command: 'inject <files..>',
  describe: 'Ask for the sidecar in the workloads of YAML files (- for standard input), and apply them',
  builder: (yargs) =>
    yargs
      .positional('files', { type: 'string', array: true, demandOption: true, describe: 'YAML files, or -' })
      .options({
        namespace: {
          alias: 'n',
          type: 'string',
          default: 'default',
          describe: 'Namespace of objects that name none',
        },
        manual: {
          type: 'boolean',
          default: false,
          describe: 'Write the sidecar into the manifest instead of the annotation',
        },
        ingress: { type: 'boolean', default: false, describe: 'Annotate for ingress mode' },
        disable: { type: 'boolean', default: false, describe: 'Annotate so that no sidecar is added' },
        ...renderOptions,
      })
      .example('kubectl get deploy web -o yaml | $0 inject - -o yaml | kubectl apply -f -', "Linkerd's way"),
  handler: async (args) => {
    refuseTwoWays(args);
    const documents = (await Promise.all(args.files.map(readDocuments))).flat();
    if (documents.length === 0) throw new UserError('there are no objects to inject', 'The input is empty.');
    const render = args.dryRun || args.output !== undefined;
    const cluster = render && !args.manual ? undefined : await openCluster(args);
    try {
      const transform = await transformOf(args, cluster);
      const results = documents.map((document) => injectManifest(document, transform));
      const objects = results.map((result) => result.document);
      if (render) standardOutput.out(renderObjects(objects, args.output ?? 'yaml'));
      else if (cluster !== undefined) {
        await asUser(cluster, () => applyObjects(cluster.client, objects.flatMap(flat), args.namespace));
      }
      for (const report of results.flatMap((result) => result.reports)) say(report);
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

async function readDocuments(file: string): Promise<KubernetesObject[]> {
  const isStandardInput = file === STANDARD_INPUT;
  try {
    // Read as a stream: what stands behind it may be a socket, which cannot be opened by its path.
    const content = isStandardInput ? await text(process.stdin) : await readFile(file, 'utf8');
    const documents = (yaml.loadAll(content) as (KubernetesObject | null)[]).filter(
      (document) => document !== null,
    );
    const odd = documents.find(
      (document) => typeof document !== 'object' || typeof document.kind !== 'string',
    );
    if (odd !== undefined) throw new Error('a document has no `kind`');
    return documents;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const name = isStandardInput ? 'standard input' : file;
    throw new UserError(
      `${name} cannot be read: ${why}`,
      'It must hold Kubernetes objects as YAML or JSON.',
      {
        cause: error,
      },
    );
  }
}

async function transformOf(
  args: InjectArguments,
  cluster: Awaited<ReturnType<typeof openCluster>> | undefined,
): Promise<WorkloadTransform> {
  if (args.disable) return { kind: 'disable' };
  if (!args.manual || cluster === undefined)
    return { kind: 'annotate', value: args.ingress ? 'ingress' : 'enabled' };
  const values = await requireInstallation(cluster, args.isthmusNamespace);
  const context = {
    ...values,
    opaquePorts: DEFAULT_OPAQUE_PORTS,
    resources: {},
    ignoreLinkerdAnnotation: false,
  };
  return { kind: 'manual', namespace: args.namespace, context };
}

function flat(object: KubernetesObject): KubernetesObject[] {
  return object.kind === 'List' && 'items' in object ? (object.items as KubernetesObject[]) : [object];
}

function say({ kind, name, changed, reason }: WorkloadReport): void {
  const what = `${kind.toLowerCase()}/${name}`;
  const why = reason === undefined ? '' : `: ${reason}`;
  const sign = changed ? mark('ok', standardOutput.interactive) : '-';
  standardOutput.err(`${sign} ${what} ${changed ? 'injected' : `unchanged${why}`}\n`);
}
