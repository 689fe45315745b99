import { GrpcError, grpcStatus } from '../workload-identity/index.ts';

/** Where the asking proxy is: what it was told at injection and sends along verbatim. */
export interface WorkloadContext {
  namespace?: string;
  pod?: string;
  nodeName?: string;
}

/**
 * Reads `{"ns":…,"pod":…,"nodeName":…}`. What is empty or not of this form counts as "nothing known", as in Linkerd: only short names need it.
 */
export function parseContextToken(token: string): WorkloadContext {
  const fields = parseObject(token);
  const text = (name: string): string | undefined => {
    const value = fields?.[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const [namespace, pod, nodeName] = [text('ns'), text('pod'), text('nodeName')];
  return {
    ...(namespace === undefined ? {} : { namespace }),
    ...(pod === undefined ? {} : { pod }),
    ...(nodeName === undefined ? {} : { nodeName }),
  };
}

/** The workload of a PortSpec: `{"ns":…,"pod":…}`, or `<ns>:<pod>` as older proxies send. Throws InvalidArgument when it is neither. */
export function parseWorkload(workload: string): { namespace: string; pod: string } {
  const { namespace, pod } = parseContextToken(workload);
  if (namespace !== undefined && pod !== undefined) return { namespace, pod };
  const [ns = '', name = '', ...rest] = workload.split(':');
  if (ns !== '' && name !== '' && rest.length === 0 && !workload.startsWith('{')) {
    return { namespace: ns, pod: name };
  }
  throw new GrpcError(
    grpcStatus.invalidArgument,
    `workload ${JSON.stringify(workload)}: must be {"ns":"<namespace>","pod":"<name>"}`,
  );
}

function parseObject(text: string): Record<string, unknown> | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
