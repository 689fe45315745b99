import type { Container } from '../api/kubernetes-types.ts';
import { quantityValue } from '../api/quantity.ts';
import type { Quantities } from './proxy-config.ts';

const RESOURCES = [
  ['cpu', 'cpuRequest', 'cpuLimit'],
  ['memory', 'memoryRequest', 'memoryLimit'],
  ['ephemeral-storage', 'ephemeralStorageRequest', 'ephemeralStorageLimit'],
] as const;

/**
 * Requests and limits of the sidecar: what annotations ask for over the install's values. A request above its limit would make the API server refuse the whole
 * pod: the limit is taken for both, with a warning where an annotation asked for more.
 */
export function sidecarResources(
  defaults: Quantities,
  asked: Quantities,
): { resources: NonNullable<Container['resources']>; warnings: string[] } {
  const requests: Record<string, string> = {};
  const limits: Record<string, string> = {};
  const warnings: string[] = [];
  for (const [resource, requestName, limitName] of RESOURCES) {
    const request = asked[requestName] ?? defaults[requestName];
    const limit = asked[limitName] ?? defaults[limitName];
    const isAbove = request !== undefined && limit !== undefined && valueOf(request) > valueOf(limit);
    if (isAbove && asked[requestName] !== undefined) {
      warnings.push(`the sidecar's ${resource} request ${request} is above its limit; it gets ${limit}`);
    }
    const given = isAbove ? limit : request;
    if (given !== undefined) requests[resource] = given;
    if (limit !== undefined) limits[resource] = limit;
  }
  return { resources: { requests, limits }, warnings };
}

function valueOf(quantity: string): number {
  return quantityValue(quantity) ?? 0;
}
