import * as yaml from 'js-yaml';
import { UserError } from '../cli/errors.ts';

/** A kind cluster as it is to be. */
export interface ClusterDefinition {
  /** Of the kind cluster; also its id in the mesh. */
  name: string;
  podSubnet: string;
  serviceSubnet: string;
}

/** The clusters, with subnets that do not overlap: only then is an address that shows up in the wrong cluster noticed. */
export const CLUSTERS: readonly ClusterDefinition[] = [
  { name: 'east', podSubnet: '10.11.0.0/16', serviceSubnet: '10.111.0.0/16' },
  { name: 'west', podSubnet: '10.12.0.0/16', serviceSubnet: '10.112.0.0/16' },
  { name: 'north', podSubnet: '10.13.0.0/16', serviceSubnet: '10.113.0.0/16' },
];

/** The definitions of these names, all where none is given. Throws a UserError for a name that is not declared. */
export function chooseClusters(names: readonly string[]): ClusterDefinition[] {
  if (names.length === 0) return [...CLUSTERS];
  const unknown = names.filter((name) => !CLUSTERS.some((cluster) => cluster.name === name));
  if (unknown.length > 0) {
    const declared = CLUSTERS.map((cluster) => cluster.name).join(', ');
    throw new UserError(
      `there is no kind cluster ${unknown.join(', ')} in kind-clusters/clusters.ts`,
      `Declared are ${declared}.`,
    );
  }
  return CLUSTERS.filter((cluster) => names.includes(cluster.name));
}

/** What `kind create cluster --config` takes. */
export function kindConfig({ podSubnet, serviceSubnet }: ClusterDefinition): string {
  return yaml.dump({
    kind: 'Cluster',
    apiVersion: 'kind.x-k8s.io/v1alpha4',
    networking: { podSubnet, serviceSubnet },
    nodes: [{ role: 'control-plane' }],
  });
}

/** The kubeconfig context that kind gives a cluster. */
export function contextOf(name: string): string {
  return `kind-${name}`;
}

/** The container that is a cluster's node. */
export function nodeOf(name: string): string {
  return `${name}-control-plane`;
}

/** Address of a cluster's API as pods of the others reach it: all nodes are on one Docker network, which resolves their names. */
export function internalApiServer(name: string): string {
  return `https://${nodeOf(name)}:6443`;
}

/** A link has a direction: each cluster to each other. */
export function linksBetween(
  clusters: readonly ClusterDefinition[],
): { source: ClusterDefinition; target: ClusterDefinition }[] {
  return clusters.flatMap((source) =>
    clusters.filter((target) => target !== source).map((target) => ({ source, target })),
  );
}
