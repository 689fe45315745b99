import { randomBytes } from 'node:crypto';
import type { Container, Pod } from '../../api/kubernetes-types.ts';
import type { ContainerFiles } from './container-files.ts';
import { startProcess } from './container-process.ts';
import type { ContainerProcess } from './container-process.ts';
import type { PodPlace } from './downward.ts';
import { composeCommand, composeEnvironment } from './environment.ts';
import { execCommand } from './exec.ts';
import type { LocalImage } from './images.ts';
import { LogWriter } from './log-file.ts';
import { createContainerRoot } from './mounts.ts';
import type { NodeContext } from './node-context.ts';
import type { ProbeTarget } from './probe.ts';

export interface LaunchInput {
  node: NodeContext;
  container: Container;
  image: LocalImage;
  files: ContainerFiles;
  pod: Pod;
  place: PodPlace;
  volumeDir: (volume: string) => string;
  /** How many runs there were before. */
  restartCount: number;
  /** Everything is there but the process. */
  onCreated: () => void;
}

/** A run of a container that has begun. */
export interface Launched {
  process: ContainerProcess;
  containerId: string;
  startedAt: number;
  log: LogWriter;
  terminationLog: string;
  target: ProbeTarget;
}

/**
 * Starts a container's process with what its pod says of it. Throws ContainerConfigError when something that it names is missing, and the system's error
 * when the command can't be run.
 */
export async function launchContainer(input: LaunchInput): Promise<Launched> {
  const { node, container, image, files, pod, place } = input;
  const root = createContainerRoot(files.root, container, input.volumeDir);
  const base = {
    ...node.environment,
    HOSTNAME: pod.spec?.hostname ?? pod.metadata?.name ?? '',
    ISTHMUS_VOLUME_ROOT: root.dir,
  };
  const { rewrite } = root;
  const composed = composeEnvironment({ client: node.client, pod, container, image, place, base, rewrite });
  const command = composeCommand(container, image, composed, rewrite);
  files.prepareRun(input.restartCount);
  const env = { TMPDIR: files.scratch, ...composed };
  const { workingDir } = container;
  const cwd = workingDir === undefined ? (image.workingDir ?? files.scratch) : rewrite(workingDir);
  const id = randomBytes(32).toString('hex');
  const mark = node.records.markOf(id);
  const log = new LogWriter(files.log(input.restartCount), { now: () => node.clock.now() });
  input.onCreated();
  let process: ContainerProcess;
  try {
    process = await startProcess({ command, cwd, env, mark }, log, node.records);
  } catch (error) {
    log.close();
    throw error;
  }
  return {
    process,
    containerId: containerUri(id),
    startedAt: node.clock.now(),
    log,
    terminationLog: root.terminationLog,
    target: {
      container,
      podIp: place.podIp,
      exec: (words, timeoutMs) => execCommand(words.map(rewrite), { cwd, env, mark, timeoutMs }),
    },
  };
}

/** The id of a run that never came to a process. */
export function unusedContainerId(): string {
  return containerUri(randomBytes(32).toString('hex'));
}

function containerUri(id: string): string {
  return `isthmus://${id}`;
}
