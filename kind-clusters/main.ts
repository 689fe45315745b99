/**
 * What `npm run kind:…` runs: several linked clusters with plain Docker and kind. `KIND_NODE_IMAGE` names the image of the nodes, clusters given as arguments
 * (`npm run kind:up -- east west`) are all that is touched.
 */
import { EXIT_OURS, EXIT_USER, UserError } from '../cli/errors.ts';
import { interruptible } from '../cli/interruption.ts';
import { standardOutput, step } from '../cli/output.ts';
import { bringUp, linkAll, loadAnew, type Site } from './bring-up.ts';
import { chooseClusters, contextOf, CLUSTERS } from './clusters.ts';
import { deleteCluster, nodeState, requireTools } from './kind.ts';
import { deployExample, firstAnswer, forgetTrust } from './mesh.ts';
import { statusTable } from './status.ts';

const commands: Record<string, (site: Site) => Promise<void>> = {
  up,
  load: loadAnew,
  link: linkAll,
  down,
  status,
};

/** Clusters, mesh, links, and with two clusters or more the example between the first two. */
async function up(site: Site): Promise<void> {
  const started = performance.now();
  const { clusters, output, signal } = site;
  await bringUp(site);
  const [client, server] = clusters;
  if (client !== undefined && server?.name === EXAMPLE_SERVER) {
    await step(output, `deploy web in ${server.name}, client in ${client.name}`, () =>
      deployExample(client.name, server.name),
    );
    await step(output, `first request from ${client.name} answered by ${server.name}`, () =>
      firstAnswer(client.name, signal),
    );
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const contexts = clusters.map(({ name }) => contextOf(name)).join(', ');
  output.err(`\n${clusters.length} clusters after ${seconds} s, contexts ${contexts}. To look at them:\n`);
  output.err(`  npx isthmus check --context ${contextOf(clusters[0]?.name ?? '')}\n`);
  output.err('  npm run kind:status\n  npm run kind:down\n');
}

/** The example's client calls the mirror of this cluster's service. */
const EXAMPLE_SERVER = 'west';

async function down({ clusters, output }: Site): Promise<void> {
  for (const { name } of clusters) {
    if ((await nodeState(name)) === 'absent') continue;
    await step(output, `remove cluster ${name}`, () => deleteCluster(name));
  }
  const left = await Promise.all(CLUSTERS.map(({ name }) => nodeState(name)));
  if (left.every((state) => state === 'absent')) await forgetTrust();
}

async function status({ clusters, output }: Site): Promise<void> {
  output.out(await statusTable(clusters));
}

async function main([name = '', ...names]: readonly string[]): Promise<void> {
  const command = commands[name];
  if (command === undefined) {
    throw new UserError(
      `"${name}" is no command of kind-clusters`,
      `Run npm run kind:${Object.keys(commands).join(', kind:')}.`,
    );
  }
  const clusters = chooseClusters(names);
  await requireTools();
  await interruptible((signal) => command({ clusters, output: standardOutput, signal }));
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const user = error instanceof UserError;
  const text = error instanceof Error ? error.message : String(error);
  standardOutput.err(`error: ${text}\n${user && error.hint !== undefined ? `       ${error.hint}\n` : ''}`);
  process.exitCode = user ? EXIT_USER : EXIT_OURS;
}
