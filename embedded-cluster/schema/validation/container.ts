import type { Container, ContainerPort, EnvVar } from '../../../api/kubernetes-types.ts';
import { duplicate, forbidden, invalid, notFound, notSupported, required } from '../errors.ts';
import { quantityValue } from '../../../api/quantity.ts';
import type { FieldError } from '../types.ts';
import { dns1123LabelProblem, portNameProblems, portNumberProblem } from './names.ts';
import { validateLifecycle, validateProbes } from './probe.ts';

const protocols = ['SCTP', 'TCP', 'UDP'];
const pullPolicies = ['Always', 'IfNotPresent', 'Never'];
const terminationMessagePolicies = ['FallbackToLogsOnError', 'File'];

/** `metadata.labels['x']` and `metadata.annotations['x']` are allowed beside these. */
const downwardFields: readonly string[] = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];

/** Which rules apply: an init container is a sidecar when it restarts always. */
export type ContainerRole = 'regular' | 'init';

/** One container of a pod. `names` collects the names seen so far, over init and regular containers. */
export function validateContainer(
  container: Container,
  path: string,
  context: { role: ContainerRole; names: Set<string>; volumes: ReadonlySet<string> },
): FieldError[] {
  return [
    ...validateName(container, path, context.names),
    ...(container.image ? [] : [required(`${path}.image`)]),
    ...(container.image !== undefined && container.image !== container.image.trim()
      ? [invalid(`${path}.image`, container.image, 'must not have leading or trailing whitespace')]
      : []),
    ...validatePorts(container.ports ?? [], `${path}.ports`),
    ...validateEnvironment(container.env ?? [], `${path}.env`),
    ...validateMounts(container, path, context.volumes),
    ...oneOf(container.imagePullPolicy, pullPolicies, `${path}.imagePullPolicy`),
    ...oneOf(
      container.terminationMessagePolicy,
      terminationMessagePolicies,
      `${path}.terminationMessagePolicy`,
    ),
    ...validateResources(container, `${path}.resources`),
    ...validateRole(container, path, context.role),
  ];
}

function validateName(container: Container, path: string, names: Set<string>): FieldError[] {
  const { name } = container;
  if (!name) return [required(`${path}.name`)];
  if (names.has(name)) return [duplicate(`${path}.name`, name)];
  names.add(name);
  const problem = dns1123LabelProblem(name);
  return problem === undefined ? [] : [invalid(`${path}.name`, name, problem)];
}

function validateRole(container: Container, path: string, role: ContainerRole): FieldError[] {
  const sidecar = role === 'init' && container.restartPolicy === 'Always';
  if (role === 'regular' || sidecar) {
    return [
      ...validateLifecycle(container.lifecycle, `${path}.lifecycle`),
      ...validateProbes(container, path),
    ];
  }
  const errors: FieldError[] = [];
  for (const field of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
    if (container[field] !== undefined) {
      errors.push(
        forbidden(`${path}.${field}`, 'may not be set for init containers without restartPolicy=Always'),
      );
    }
  }
  return errors;
}

function validatePorts(ports: readonly ContainerPort[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = `${path}[${index}]`;
    if (port.name) {
      const problems = portNameProblems(port.name);
      errors.push(...problems.map((problem) => invalid(`${at}.name`, port.name, problem)));
      if (problems.length === 0 && names.has(port.name)) errors.push(duplicate(`${at}.name`, port.name));
      names.add(port.name);
    }
    if (port.containerPort === 0) errors.push(required(`${at}.containerPort`));
    else {
      const problem = portNumberProblem(port.containerPort);
      if (problem !== undefined) errors.push(invalid(`${at}.containerPort`, port.containerPort, problem));
    }
    if (port.hostPort !== undefined && port.hostPort !== 0) {
      const problem = portNumberProblem(port.hostPort);
      if (problem !== undefined) errors.push(invalid(`${at}.hostPort`, port.hostPort, problem));
    }
    errors.push(...oneOf(port.protocol, protocols, `${at}.protocol`));
  }
  return errors;
}

function validateEnvironment(variables: readonly EnvVar[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, variable] of variables.entries()) {
    const at = `${path}[${index}]`;
    if (!variable.name) errors.push(required(`${at}.name`));
    else if (!/^[ -<>-~]+$/.test(variable.name)) {
      errors.push(
        invalid(
          `${at}.name`,
          variable.name,
          "a valid environment variable name must consist only of printable ASCII characters other than '='",
        ),
      );
    }
    errors.push(...validateValueSource(variable, `${at}.valueFrom`));
  }
  return errors;
}

function validateValueSource(variable: EnvVar, path: string): FieldError[] {
  const source = variable.valueFrom;
  if (source === undefined) return [];
  const errors: FieldError[] = [];
  if (source.fieldRef !== undefined) errors.push(...validateFieldPath(source.fieldRef, `${path}.fieldRef`));
  for (const kind of ['configMapKeyRef', 'secretKeyRef'] as const) {
    const reference = source[kind];
    if (reference === undefined) continue;
    if (!reference.name) errors.push(required(`${path}.${kind}.name`));
    if (!reference.key) errors.push(required(`${path}.${kind}.key`));
  }
  const kinds = Object.keys(source).length;
  if (kinds === 0) {
    errors.push(
      invalid(
        path,
        '',
        'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`',
      ),
    );
  } else if (variable.value) {
    errors.push(invalid(path, '', 'may not be specified when `value` is not empty'));
  } else if (kinds > 1) {
    errors.push(invalid(path, '', 'may not have more than one field specified at a time'));
  }
  return errors;
}

/** A downward API reference of an environment variable. */
function validateFieldPath(reference: { fieldPath: string }, path: string): FieldError[] {
  const { fieldPath } = reference;
  if (!fieldPath) return [required(`${path}.fieldPath`)];
  if (/^metadata\.(labels|annotations)\['[^']+'\]$/.test(fieldPath)) return [];
  if (downwardFields.includes(fieldPath)) return [];
  return [
    invalid(
      `${path}.fieldPath`,
      fieldPath,
      `error converting fieldPath: field label not supported: ${fieldPath}`,
    ),
  ];
}

function validateMounts(container: Container, path: string, volumes: ReadonlySet<string>): FieldError[] {
  const errors: FieldError[] = [];
  const paths = new Set<string>();
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const at = `${path}.volumeMounts[${index}]`;
    if (!mount.name) errors.push(required(`${at}.name`));
    else if (!volumes.has(mount.name)) errors.push(notFound(`${at}.name`, mount.name));
    if (!mount.mountPath) errors.push(required(`${at}.mountPath`));
    if (paths.has(mount.mountPath)) {
      errors.push(invalid(`${at}.mountPath`, mount.mountPath, 'must be unique'));
    }
    paths.add(mount.mountPath);
    if (mount.subPath?.split('/').includes('..') === true) {
      errors.push(invalid(`${at}.subPath`, mount.subPath, "must not contain '..'"));
    }
  }
  return errors;
}

/** What is no quantity is refused by its type. */
function valueOf(quantity: string): number {
  return quantityValue(quantity) ?? 0;
}

function validateResources(container: Container, path: string): FieldError[] {
  const { limits = {}, requests = {} } = container.resources ?? {};
  const errors: FieldError[] = [];
  for (const [list, values] of Object.entries({ limits, requests })) {
    for (const [name, quantity] of Object.entries(values)) {
      if (valueOf(quantity) < 0) {
        errors.push(invalid(`${path}.${list}[${name}]`, quantity, 'must be greater than or equal to 0'));
      }
    }
  }
  for (const [name, quantity] of Object.entries(requests)) {
    const limit = limits[name];
    if (limit !== undefined && valueOf(quantity) > valueOf(limit)) {
      errors.push(
        invalid(`${path}.requests`, quantity, `must be less than or equal to ${name} limit of ${limit}`),
      );
    }
  }
  return errors;
}

function oneOf(value: string | undefined, allowed: readonly string[], field: string): FieldError[] {
  return value === undefined || allowed.includes(value) ? [] : [notSupported(field, value, allowed)];
}
