import type { Container, Probe } from '../../../api/kubernetes-types.ts';
import { forbidden, invalid, notSupported, required } from '../errors.ts';
import type { FieldError } from '../types.ts';
import { portNameProblems, portNumberProblem } from './names.ts';
import { nonNegative } from './numbers.ts';

const schemes = ['HTTP', 'HTTPS'];
const timings = [
  'initialDelaySeconds',
  'timeoutSeconds',
  'periodSeconds',
  'successThreshold',
  'failureThreshold',
] as const;

type Handler = Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket' | 'grpc'> & { sleep?: { seconds: number } };

/** The three probes of a container. Liveness and startup must not need several successes. */
export function validateProbes(container: Container, path: string): FieldError[] {
  return [
    ...validateProbe(container.livenessProbe, `${path}.livenessProbe`, true),
    ...validateProbe(container.readinessProbe, `${path}.readinessProbe`, false),
    ...validateProbe(container.startupProbe, `${path}.startupProbe`, true),
  ];
}

export function validateLifecycle(
  lifecycle: Record<string, unknown> | undefined,
  path: string,
): FieldError[] {
  return Object.entries(lifecycle ?? {}).flatMap(([hook, handler]) =>
    hook === 'stopSignal' ? [] : validateHandler(handler as Handler, `${path}.${hook}`),
  );
}

function validateProbe(probe: Probe | undefined, path: string, oneSuccess: boolean): FieldError[] {
  if (probe === undefined) return [];
  const errors = validateHandler(probe, path);
  for (const timing of timings) errors.push(...nonNegative(probe[timing], `${path}.${timing}`));
  const grace = probe.terminationGracePeriodSeconds;
  if (grace !== undefined && grace <= 0) {
    errors.push(invalid(`${path}.terminationGracePeriodSeconds`, grace, 'must be greater than 0'));
  } else if (grace !== undefined && !oneSuccess) {
    errors.push(
      invalid(`${path}.terminationGracePeriodSeconds`, grace, 'must not be set for readinessProbes'),
    );
  }
  if (oneSuccess && probe.successThreshold !== undefined && probe.successThreshold !== 1) {
    errors.push(invalid(`${path}.successThreshold`, probe.successThreshold, 'must be 1'));
  }
  return errors;
}

function validateHandler(handler: Handler, path: string): FieldError[] {
  const errors: FieldError[] = [];
  let kinds = 0;
  const count = (kind: string): boolean => {
    kinds += 1;
    if (kinds > 1) errors.push(forbidden(`${path}.${kind}`, 'may not specify more than 1 handler type'));
    return kinds === 1;
  };
  if (handler.exec !== undefined && count('exec') && (handler.exec.command ?? []).length === 0) {
    errors.push(required(`${path}.exec.command`));
  }
  if (handler.httpGet !== undefined && count('httpGet')) {
    errors.push(...validateHttpGet(handler.httpGet, `${path}.httpGet`));
  }
  if (handler.tcpSocket !== undefined && count('tcpSocket')) {
    errors.push(...validatePort(handler.tcpSocket.port, `${path}.tcpSocket.port`));
  }
  if (handler.grpc !== undefined && count('grpc')) {
    errors.push(...validatePort(handler.grpc.port, `${path}.grpc.port`));
  }
  if (handler.sleep !== undefined) count('sleep');
  if (kinds === 0) errors.push(required(path, 'must specify a handler type'));
  return errors;
}

function validateHttpGet(action: NonNullable<Probe['httpGet']>, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!action.path) errors.push(required(`${path}.path`));
  errors.push(...validatePort(action.port, `${path}.port`));
  if (action.scheme !== undefined && !schemes.includes(action.scheme)) {
    errors.push(notSupported(`${path}.scheme`, action.scheme, schemes));
  }
  return errors;
}

/** A number, or the name of one of the container's ports. */
function validatePort(port: number | string, path: string): FieldError[] {
  if (typeof port === 'string') return portNameProblems(port).map((problem) => invalid(path, port, problem));
  const problem = portNumberProblem(port);
  return problem === undefined ? [] : [invalid(path, port, problem)];
}
