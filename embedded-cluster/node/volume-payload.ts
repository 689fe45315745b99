import type { KeyToPath, Pod, ProjectedSource, Volume } from '../../api/kubernetes-types.ts';
import type { LoopbackClient, StoredObject } from '../types.ts';
import type { VolumeFile } from './atomic-writer.ts';
import { podField, resourceField } from './downward.ts';
import type { PodPlace } from './downward.ts';
import type { PodTokens } from './tokens.ts';

const DEFAULT_MODE = 0o644;
/** Kubelet's mode of a token file without fsGroup. */
const TOKEN_MODE = 0o600;

/** What a volume's files are made from. */
export interface PayloadInput {
  client: LoopbackClient;
  pod: Pod;
  place: PodPlace;
  tokens: PodTokens;
}

interface DownwardItem {
  path: string;
  mode?: number;
  fieldRef?: { fieldPath: string };
  resourceFieldRef?: { containerName?: string; resource: string; divisor?: string };
}

/** The files of a volume that is made from the API; undefined for other kinds. Throws, in a kubelet's words, when something that is not optional is missing. */
export async function volumePayload(
  volume: Volume,
  input: PayloadInput,
): Promise<Map<string, VolumeFile> | undefined> {
  const files = new Map<string, VolumeFile>();
  if (volume.configMap !== undefined) {
    addConfigMap(files, input, volume.configMap, volume.configMap.defaultMode ?? DEFAULT_MODE);
  } else if (volume.secret !== undefined) {
    const { secretName, ...rest } = volume.secret;
    addSecret(files, input, { ...rest, name: secretName ?? '' }, volume.secret.defaultMode ?? DEFAULT_MODE);
  } else if (volume.downwardAPI !== undefined) {
    addDownward(files, input, volume.downwardAPI.items ?? [], DEFAULT_MODE);
  } else if (volume.projected !== undefined) {
    for (const source of volume.projected.sources ?? [])
      await addProjected(files, input, source, volume.projected.defaultMode ?? DEFAULT_MODE);
  } else {
    return undefined;
  }
  return files;
}

/** Names of the ConfigMaps and Secrets that a pod's volumes show: `configmaps/name`, `secrets/name`. */
export function volumeReferences(pod: Pod): Set<string> {
  const names = new Set<string>();
  for (const volume of pod.spec?.volumes ?? []) {
    if (volume.configMap !== undefined) names.add(`configmaps/${volume.configMap.name ?? ''}`);
    if (volume.secret !== undefined) names.add(`secrets/${volume.secret.secretName ?? ''}`);
    for (const source of volume.projected?.sources ?? []) {
      if (source.configMap !== undefined) names.add(`configmaps/${source.configMap.name}`);
      if (source.secret !== undefined) names.add(`secrets/${source.secret.name}`);
    }
  }
  return names;
}

async function addProjected(
  files: Map<string, VolumeFile>,
  input: PayloadInput,
  source: ProjectedSource,
  mode: number,
): Promise<void> {
  if (source.configMap !== undefined) addConfigMap(files, input, source.configMap, mode);
  if (source.secret !== undefined) addSecret(files, input, source.secret, mode);
  if (source.downwardAPI !== undefined) addDownward(files, input, source.downwardAPI.items ?? [], mode);
  if (source.serviceAccountToken !== undefined) {
    const token = await input.tokens.get(input.pod, source.serviceAccountToken);
    files.set(safePath(source.serviceAccountToken.path), { data: Buffer.from(token), mode: TOKEN_MODE });
  }
}

interface ObjectSource {
  name?: string;
  items?: KeyToPath[];
  optional?: boolean;
}

function addConfigMap(
  files: Map<string, VolumeFile>,
  input: PayloadInput,
  source: ObjectSource,
  mode: number,
): void {
  const found = sourceObject(input, 'configmap', source);
  if (found === undefined) return;
  addItems(
    files,
    new Map([...entriesOf(found, 'data', 'utf8'), ...entriesOf(found, 'binaryData', 'base64')]),
    source,
    mode,
  );
}

function addSecret(
  files: Map<string, VolumeFile>,
  input: PayloadInput,
  source: ObjectSource,
  mode: number,
): void {
  const found = sourceObject(input, 'secret', source);
  if (found !== undefined) addItems(files, new Map(entriesOf(found, 'data', 'base64')), source, mode);
}

/** Undefined: it is not there and need not be. Throws where it must. */
function sourceObject(
  { pod, client }: PayloadInput,
  kind: 'configmap' | 'secret',
  { name = '', optional }: ObjectSource,
): StoredObject | undefined {
  const found = client.get(`${kind}s`, pod.metadata?.namespace ?? '', name);
  if (found === undefined && optional !== true) throw new Error(`${kind} "${name}" not found`);
  return found;
}

function entriesOf(object: StoredObject, field: string, encoding: BufferEncoding): [string, Buffer][] {
  const entries = Object.entries((object[field] ?? {}) as Record<string, string>);
  return entries.map(([key, value]) => [key, Buffer.from(value, encoding)]);
}

function addItems(
  files: Map<string, VolumeFile>,
  data: ReadonlyMap<string, Buffer>,
  source: ObjectSource,
  mode: number,
): void {
  if (source.items === undefined) {
    for (const [key, value] of data) files.set(safePath(key), { data: value, mode });
    return;
  }
  for (const item of source.items) {
    const value = data.get(item.key);
    if (value !== undefined) files.set(safePath(item.path), { data: value, mode: item.mode ?? mode });
    else if (source.optional !== true) throw new Error(`references non-existent config key: ${item.key}`);
  }
}

function addDownward(
  files: Map<string, VolumeFile>,
  input: PayloadInput,
  items: readonly DownwardItem[],
  mode: number,
): void {
  for (const item of items) {
    const text =
      item.fieldRef === undefined
        ? fromContainer(input, item)
        : podField(input.pod, input.place, item.fieldRef.fieldPath);
    if (text === undefined) throw new Error(`downwardAPI item "${item.path}" names no field that exists`);
    files.set(safePath(item.path), { data: Buffer.from(text), mode: item.mode ?? mode });
  }
}

function fromContainer(input: PayloadInput, item: DownwardItem): string | undefined {
  const ref = item.resourceFieldRef;
  const { containers = [], initContainers = [] } = input.pod.spec ?? {};
  const container = [...initContainers, ...containers].find((c) => c.name === ref?.containerName);
  if (ref === undefined || container === undefined) return undefined;
  return resourceField(container, input.place, ref.resource, ref.divisor);
}

/** A path that stays inside its volume (the API server's own rule for items). */
function safePath(path: string): string {
  if (path === '' || path.startsWith('/') || path.split('/').includes('..'))
    throw new Error(`invalid path "${path}": must be relative and not contain '..'`);
  return path;
}
