import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { Service, ServicePort } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import { duplicate, forbidden, invalid, notSupported, required } from '../errors.ts';
import type { FieldError } from '../types.ts';
import { validateLabels } from './metadata.ts';
import {
  dns1123LabelProblem,
  dns1123SubdomainProblem,
  portNameProblems,
  portNumberProblem,
  qualifiedNameProblems,
} from './names.ts';

type ServiceSpec = NonNullable<Service['spec']>;

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const affinities = ['ClientIP', 'None'];
const protocols = ['SCTP', 'TCP', 'UDP'];

export function validateService(object: StoredObject, old: StoredObject | undefined): FieldError[] {
  const spec = (object as Service).spec ?? {};
  const errors: FieldError[] = [];
  const ports = spec.ports ?? [];
  const headless = spec.clusterIP === 'None' || spec.clusterIPs?.[0] === 'None';
  if (ports.length === 0 && !headless && spec.type !== 'ExternalName') errors.push(required('spec.ports'));
  if (headless && (spec.type === 'NodePort' || spec.type === 'LoadBalancer')) {
    errors.push(invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec.type} services`));
  }
  if (spec.type === 'ExternalName') errors.push(...validateExternalName(spec));
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    errors.push(...validatePort(port, `spec.ports[${index}]`, { nameNeeded: ports.length > 1, names }));
  }
  errors.push(...validateLabels(spec.selector, 'spec.selector'));
  if (spec.sessionAffinity !== undefined && !affinities.includes(spec.sessionAffinity)) {
    errors.push(notSupported('spec.sessionAffinity', spec.sessionAffinity, affinities));
  }
  errors.push(...validateClusterIps(spec));
  if (spec.type !== undefined && !types.includes(spec.type)) {
    errors.push(notSupported('spec.type', spec.type, types));
  }
  errors.push(...validateDistinctPorts(ports));
  if (old !== undefined) errors.push(...validateChange(spec, (old as Service).spec ?? {}));
  return errors;
}

function validateExternalName(spec: ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  if ((spec.clusterIPs ?? []).length > 0 || spec.clusterIP) {
    errors.push(forbidden('spec.clusterIPs', 'may not be set for ExternalName services'));
  }
  const name = spec.externalName?.replace(/\.$/, '');
  if (!name) errors.push(required('spec.externalName'));
  else {
    const problem = dns1123SubdomainProblem(name);
    if (problem !== undefined) errors.push(invalid('spec.externalName', name, problem));
  }
  return errors;
}

function validatePort(
  port: ServicePort,
  path: string,
  context: { nameNeeded: boolean; names: Set<string> },
): FieldError[] {
  const errors: FieldError[] = [];
  if (!port.name) {
    if (context.nameNeeded) errors.push(required(`${path}.name`));
  } else {
    const problem = dns1123LabelProblem(port.name);
    if (problem !== undefined) errors.push(invalid(`${path}.name`, port.name, problem));
    else if (context.names.has(port.name)) errors.push(duplicate(`${path}.name`, port.name));
    context.names.add(port.name);
  }
  const problem = portNumberProblem(port.port);
  if (problem !== undefined) errors.push(invalid(`${path}.port`, port.port, problem));
  if (!protocols.includes(port.protocol ?? 'TCP')) {
    errors.push(notSupported(`${path}.protocol`, port.protocol, protocols));
  }
  errors.push(...validateTargetPort(port.targetPort, `${path}.targetPort`));
  if (port.appProtocol !== undefined) {
    errors.push(
      ...qualifiedNameProblems(port.appProtocol).map((text) =>
        invalid(`${path}.appProtocol`, port.appProtocol, text),
      ),
    );
  }
  return errors;
}

function validateTargetPort(port: number | string | undefined, path: string): FieldError[] {
  if (typeof port === 'string') return portNameProblems(port).map((problem) => invalid(path, port, problem));
  const problem = port === undefined ? undefined : portNumberProblem(port);
  return problem === undefined ? [] : [invalid(path, port, problem)];
}

function validateDistinctPorts(ports: readonly ServicePort[]): FieldError[] {
  const seen = new Set<string>();
  return ports.flatMap((port, index) => {
    const key = `${port.protocol ?? 'TCP'}/${port.port}`;
    if (!seen.has(key)) {
      seen.add(key);
      return [];
    }
    // The real server shows its own Go value here.
    const shown = {
      Name: '',
      Protocol: port.protocol ?? 'TCP',
      AppProtocol: null,
      Port: port.port,
      TargetPort: 0,
      NodePort: 0,
    };
    return [duplicate(`spec.ports[${index}]`, shown)];
  });
}

function validateClusterIps(spec: ServiceSpec): FieldError[] {
  return (spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])).flatMap((address, index) =>
    address === 'None' || address === '' || isIP(address) !== 0
      ? []
      : [
          invalid(
            `spec.clusterIPs[${index}]`,
            address,
            'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
          ),
        ],
  );
}

function validateChange(spec: ServiceSpec, old: ServiceSpec): FieldError[] {
  if (spec.type === 'ExternalName' || old.type === 'ExternalName') return [];
  const before = old.clusterIP;
  if (!before || isDeepStrictEqual(spec.clusterIP, before)) return [];
  return [invalid('spec.clusterIPs[0]', spec.clusterIP ? [spec.clusterIP] : null, 'may not change once set')];
}
