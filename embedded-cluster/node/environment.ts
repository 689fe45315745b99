import type { Container, EnvVar, Pod } from '../../api/kubernetes-types.ts';
import type { LoopbackClient } from '../types.ts';
import { podField, resourceField } from './downward.ts';
import type { PodPlace } from './downward.ts';
import { expand } from './expansion.ts';
import type { LocalImage } from './images.ts';

/** A container that can't be made from what its pod says; the message is what a kubelet shows with CreateContainerConfigError. */
export class ContainerConfigError extends Error {
  override name = 'ContainerConfigError';
}

export interface EnvironmentInput {
  client: LoopbackClient;
  pod: Pod;
  container: Container;
  image: LocalImage;
  place: PodPlace;
  /** What the node adds for every container. */
  base: Record<string, string>;
  /** Turns a path of the container into its real place. */
  rewrite: (text: string) => string;
}

/**
 * A container's environment: the image's, the node's, `envFrom` in order, `env` in order with `$(NAME)` of what came before. Throws
 * ContainerConfigError when something that is not optional is missing.
 */
export function composeEnvironment(input: EnvironmentInput): Record<string, string> {
  const result: Record<string, string> = { ...input.image.env, ...input.base };
  for (const source of input.container.envFrom ?? []) {
    const data =
      source.configMapRef === undefined
        ? secretData(input, source.secretRef)
        : configMapData(input, source.configMapRef);
    for (const [key, value] of Object.entries(data))
      result[`${source.prefix ?? ''}${key}`] = input.rewrite(value);
  }
  for (const variable of input.container.env ?? []) {
    const value =
      variable.valueFrom === undefined
        ? // Rewritten before it is expanded: what a variable brings in has been rewritten already.
          expand(input.rewrite(variable.value ?? ''), (name) => result[name])
        : rewritten(input, fromSource(input, variable.valueFrom));
    if (value !== undefined) result[variable.name] = value;
  }
  return result;
}

function rewritten(input: EnvironmentInput, value: string | undefined): string | undefined {
  return value === undefined ? undefined : input.rewrite(value);
}

/** The command line: `command` stands for the image's entry point and drops its arguments, `args` alone follows the entry point. */
export function composeCommand(
  container: Container,
  image: LocalImage,
  env: Record<string, string>,
  rewrite: (text: string) => string,
): [string, ...string[]] {
  const own = (words: readonly string[]): string[] =>
    words.map((word) => expand(rewrite(word), (name) => env[name]));
  const given = container.command ?? [];
  // The image's entry point lies on this machine, maybe below a path that the container mounts: it is taken as it is.
  const [file, ...rest] = [...(given.length > 0 ? own(given) : image.command), ...own(container.args ?? [])];
  if (file === undefined) throw new ContainerConfigError('no command specified');
  return [file, ...rest];
}

function fromSource(input: EnvironmentInput, source: NonNullable<EnvVar['valueFrom']>): string | undefined {
  if (source.fieldRef !== undefined) {
    const value = podField(input.pod, input.place, source.fieldRef.fieldPath);
    if (value !== undefined) return value;
    throw new ContainerConfigError(`unsupported fieldPath: ${source.fieldRef.fieldPath}`);
  }
  if (source.resourceFieldRef !== undefined) return fromResource(input, source.resourceFieldRef);
  if (source.configMapKeyRef !== undefined) {
    const ref = source.configMapKeyRef;
    return entry(configMapData(input, ref), ref, 'ConfigMap', input.pod);
  }
  const ref = source.secretKeyRef;
  return ref === undefined ? undefined : entry(secretData(input, ref), ref, 'Secret', input.pod);
}

function fromResource(
  input: EnvironmentInput,
  ref: { containerName?: string; resource: string; divisor?: string },
): string {
  const { containers = [], initContainers = [] } = input.pod.spec ?? {};
  const named = [...initContainers, ...containers].find((c) => c.name === ref.containerName);
  const value = resourceField(named ?? input.container, input.place, ref.resource, ref.divisor);
  if (value === undefined) throw new ContainerConfigError(`unsupported container resource: ${ref.resource}`);
  return value;
}

interface SourceRef {
  name?: string;
  optional?: boolean;
}

function configMapData(input: EnvironmentInput, ref: SourceRef): Record<string, string> {
  const found = input.client.get('configmaps', input.pod.metadata?.namespace, ref.name ?? '');
  if (found === undefined && ref.optional !== true)
    throw new ContainerConfigError(`configmap "${ref.name ?? ''}" not found`);
  return (found?.['data'] ?? {}) as Record<string, string>;
}

function secretData(input: EnvironmentInput, ref: SourceRef | undefined): Record<string, string> {
  const found = input.client.get('secrets', input.pod.metadata?.namespace, ref?.name ?? '');
  if (found === undefined && ref?.optional !== true)
    throw new ContainerConfigError(`secret "${ref?.name ?? ''}" not found`);
  const encoded = (found?.['data'] ?? {}) as Record<string, string>;
  return Object.fromEntries(
    Object.entries(encoded).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
  );
}

function entry(
  data: Record<string, string>,
  ref: SourceRef & { key: string },
  kind: 'ConfigMap' | 'Secret',
  pod: Pod,
): string | undefined {
  const value = data[ref.key];
  if (value === undefined && ref.optional !== true)
    throw new ContainerConfigError(
      `couldn't find key ${ref.key} in ${kind} ${pod.metadata?.namespace ?? ''}/${ref.name ?? ''}`,
    );
  return value;
}
