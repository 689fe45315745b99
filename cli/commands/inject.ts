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
import { type GlobalArguments, renderOptions } from '../options.ts';
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
      .conflicts('manual', ['ingress', 'disable'])
      .example('kubectl get deploy web -o yaml | $0 inject - -o yaml | kubectl apply -f -', "Linkerd's way"),
  handler: async (args) => {
    const documents = (await Promise.all(args.files.map(readDocuments))).flat();
    const render = args.dryRun || args.output !== undefined;
    const cluster = render && !args.manual ? undefined : await openCluster(args);
    try {
      const transform = await transformOf(args, cluster);
      const results = documents.map((document) => injectManifest(document, transform));
      const objects = results.map((result) => result.document);
      if (render) standardOutput.out(renderObjects(objects, args.output ?? 'yaml'));
      else if (cluster !== undefined) {
        await asUser(cluster, () =>
          applyObjects(
            cluster.client,
            objects.flatMap(flat).map((o) => inNamespace(o, args.namespace)),
          ),
        );
      }
      for (const report of results.flatMap((result) => result.reports)) say(report);
    } finally {
      await cluster?.client.close();
    }
  },
});

async function readDocuments(file: string): Promise<KubernetesObject[]> {
  try {
    const content = file === '-' ? await text(process.stdin) : await readFile(file, 'utf8');
    const documents = (yaml.loadAll(content) as (KubernetesObject | null)[]).filter(
      (document) => document !== null,
    );
    const odd = documents.find(
      (document) => typeof document !== 'object' || typeof document.kind !== 'string',
    );
    if (odd !== undefined) throw new Error('a document is no Kubernetes object: it has no `kind`');
    return documents;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UserError(
      `${file === '-' ? 'standard input' : file} cannot be read as YAML: ${why}`,
      undefined,
      { cause: error },
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

/** Server-side apply needs the namespace spelt out; cluster-wide kinds ignore it. */
function inNamespace(object: KubernetesObject, namespace: string): KubernetesObject {
  return { ...object, metadata: { namespace, ...object.metadata } };
}

function say(report: WorkloadReport): void {
  const name = `${report.kind.toLowerCase()}/${report.name}`;
  const outcome = report.changed
    ? 'injected'
    : `unchanged${report.reason === undefined ? '' : `: ${report.reason}`}`;
  standardOutput.err(
    `${mark(report.changed ? 'ok' : 'warning', standardOutput.interactive)} ${name} ${outcome}\n`,
  );
  for (const warning of report.warnings) standardOutput.err(`  ‼ ${name}: ${warning}\n`);
}
