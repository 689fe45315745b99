import type { Link } from '../api/isthmus-types.ts';
import type { LabelSelector } from '../api/kubernetes-types.ts';
import { parseSpiffeId } from '../api/names.ts';
import { isEmptySelector, matchesSelector } from '../kubernetes/labels.ts';

/** A Link's spec, checked, with its defaults. Plain data: it crosses to a worker thread. */
export interface LinkSettings {
  /** Cluster id of the target. */
  target: string;
  targetDomain: string;
  credentialsSecret: string;
  /** Undefined matches nothing. */
  selector: LabelSelector | undefined;
  excludedLabels: readonly string[];
  excludedAnnotations: readonly string[];
  gateway: {
    serviceName: string;
    serviceNamespace: string;
    /** Fixed addresses; undefined follows the Service. */
    addresses: readonly string[] | undefined;
    /** Undefined takes the Service's port. */
    port: number | undefined;
    /** SPIFFE ID. */
    identity: string;
  };
  probe: { path: string; periodMs: number; timeoutMs: number; failureThreshold: number };
}

/** What is wrong with a Link, in a sentence that names the field. */
export class LinkProblem extends Error {}

/** The CRD's defaults, for Links that got past it. */
const PROBE_DEFAULTS = { path: '/ready', periodSeconds: 3, timeoutSeconds: 3, failureThreshold: 3 };
const CLUSTER_ID = /^[a-z0-9]([-a-z0-9]{0,59}[a-z0-9])?$/;

/**
 * Reads a Link's spec. Takes it for what anyone might have written: the CRD's schema may be absent or older. Throws a `LinkProblem`
 * that names the field.
 */
export function linkSettings(link: Link): LinkSettings {
  const spec = map(link.spec, 'spec');
  const gateway = map(spec['gateway'], 'spec.gateway');
  const target = text(spec['targetClusterName'], 'spec.targetClusterName');
  if (!CLUSTER_ID.test(target)) {
    throw new LinkProblem(
      `spec.targetClusterName "${target}" is no cluster id: lower-case letters, digits and "-" only`,
    );
  }
  if (link.metadata?.name !== target) {
    throw new LinkProblem(`the Link must be named "${target}", as its spec.targetClusterName`);
  }
  const identity = text(gateway['identity'], 'spec.gateway.identity');
  if (parseSpiffeId(identity)?.clusterId !== target) {
    throw new LinkProblem(
      `spec.gateway.identity "${identity}" is no SPIFFE ID of a workload in cluster "${target}"`,
    );
  }
  return {
    target,
    targetDomain: text(spec['targetClusterDomain'], 'spec.targetClusterDomain'),
    credentialsSecret: text(spec['clusterCredentialsSecret'], 'spec.clusterCredentialsSecret'),
    selector: selector(spec['selector']),
    excludedLabels: texts(spec['excludedLabels'], 'spec.excludedLabels') ?? [],
    excludedAnnotations: texts(spec['excludedAnnotations'], 'spec.excludedAnnotations') ?? [],
    gateway: {
      serviceName: text(gateway['serviceName'], 'spec.gateway.serviceName'),
      serviceNamespace: text(gateway['serviceNamespace'], 'spec.gateway.serviceNamespace'),
      addresses: nonEmpty(texts(gateway['addresses'], 'spec.gateway.addresses')),
      port:
        gateway['port'] === undefined ? undefined : integer(gateway['port'], 'spec.gateway.port', 1, 65_535),
      identity,
    },
    probe: probe(spec['probe']),
  };
}

function probe(value: unknown): LinkSettings['probe'] {
  const given = value === undefined ? {} : map(value, 'spec.probe');
  const seconds = (field: 'periodSeconds' | 'timeoutSeconds', max: number): number =>
    integer(given[field] ?? PROBE_DEFAULTS[field], `spec.probe.${field}`, 1, max);
  const path = text(given['path'] ?? PROBE_DEFAULTS.path, 'spec.probe.path');
  if (!/^\/[\x21-\x7e]*$/.test(path))
    throw new LinkProblem('spec.probe.path must be a URL path that begins with "/"');
  return {
    path,
    periodMs: seconds('periodSeconds', 300) * 1000,
    timeoutMs: seconds('timeoutSeconds', 60) * 1000,
    failureThreshold: integer(
      given['failureThreshold'] ?? PROBE_DEFAULTS.failureThreshold,
      'spec.probe.failureThreshold',
      1,
      100,
    ),
  };
}

function selector(value: unknown): LabelSelector | undefined {
  if (value === undefined || value === null) return undefined;
  const given = map(value, 'spec.selector') as LabelSelector;
  try {
    if (isEmptySelector(given)) return undefined;
    matchesSelector(given, {});
    return given;
  } catch (error) {
    throw new LinkProblem(`spec.selector: ${error instanceof Error ? error.message : 'can not be read'}`);
  }
}

function map(value: unknown, field: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new LinkProblem(`${field} is missing or not a map`);
}

function text(value: unknown, field: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new LinkProblem(`${field} is missing or not a string`);
}

function texts(value: unknown, field: string): string[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value) && value.every((v) => typeof v === 'string' && v !== '')) return value as string[];
  throw new LinkProblem(`${field} must be a list of strings`);
}

function integer(value: unknown, field: string, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new LinkProblem(`${field} must be a whole number from ${min} to ${max}`);
}

function nonEmpty(values: string[] | undefined): string[] | undefined {
  return values === undefined || values.length === 0 ? undefined : values;
}
