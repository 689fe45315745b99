import type {
  Deployment,
  EnvVar,
  KubernetesObject,
  PodDisruptionBudget,
  Service,
  ServicePort,
} from '../../api/kubernetes-types.ts';
import {
  annotation,
  component,
  controlPlaneEnv,
  GATEWAY_PORT_NAME,
  label,
  port,
  proxyEnv,
  telemetryEnv,
  VERSION,
} from '../../api/names.ts';
import { type Component, labels, meta, podSpec } from './pod-parts.ts';
import type { GatewayServiceType, InstallValues } from './values.ts';

function components(values: InstallValues): Component[] {
  return [
    {
      name: component.controlPlane,
      part: 'control-plane',
      ...values.controlPlane,
      adminPort: port.controlPlaneAdmin,
      identityToken: false,
      graceSeconds: 30,
      ports: [
        { name: 'identity', containerPort: port.identity },
        { name: 'destination', containerPort: port.destination },
        { name: 'policy', containerPort: port.policy },
        { name: 'injector', containerPort: port.injector },
      ],
      extraEnv: controlPlaneEnvironment(values),
    },
    {
      name: component.mirrorController,
      part: 'mirror-controller',
      ...values.mirrorController,
      adminPort: port.mirrorControllerAdmin,
      identityToken: true,
      graceSeconds: 30,
      ports: [],
    },
    {
      name: component.gateway,
      part: 'gateway',
      ...values.gateway,
      adminPort: port.admin,
      identityToken: true,
      graceSeconds: 60,
      ports: [{ name: GATEWAY_PORT_NAME, containerPort: port.inbound }],
      extraEnv: telemetryEnvironment(values),
    },
  ];
}

function controlPlaneEnvironment(values: InstallValues): EnvVar[] {
  const { requests, limits } = values.proxy.resources;
  const given: [name: string, value: string | undefined][] = [
    [proxyEnv.mode, values.proxyMode],
    [controlPlaneEnv.defaultInboundPolicy, values.defaultInboundPolicy],
    [controlPlaneEnv.clusterNetworks, values.clusterNetworks.join(',')],
    [controlPlaneEnv.proxyImage, values.image],
    [controlPlaneEnv.proxyImagePullPolicy, values.imagePullPolicy],
    [controlPlaneEnv.proxyLogLevel, values.proxy.logLevel],
    [controlPlaneEnv.proxyCpuRequest, requests.cpu],
    [controlPlaneEnv.proxyMemoryRequest, requests.memory],
    [controlPlaneEnv.proxyCpuLimit, limits.cpu],
    [controlPlaneEnv.proxyMemoryLimit, limits.memory],
    [controlPlaneEnv.adoptLinkerd, String(values.adoptLinkerd)],
  ];
  return [...present(given), ...telemetryEnvironment(values)];
}

/** What gateways tell of single requests, and the control plane has sidecars tell. */
function telemetryEnvironment({ proxy, tracing }: InstallValues): EnvVar[] {
  return present([
    [telemetryEnv.accessLog, proxy.accessLog],
    [telemetryEnv.traceCollector, tracing.collector],
    [telemetryEnv.traceCollectorIdentity, tracing.collectorIdentity],
    [telemetryEnv.traceSampling, tracing.sampling],
  ]);
}

function present(given: readonly (readonly [name: string, value: string | undefined])[]): EnvVar[] {
  return given.flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
}

/** Deployments of the components with the Services before them. */
export function workloads(values: InstallValues): KubernetesObject[] {
  const all = components(values);
  return [
    ...services(values),
    ...all.filter((c) => c.replicas > 1).map((c) => disruptionBudget(values, c)),
    ...all.map((c) => deployment(values, c)),
  ];
}

/** A drained node takes one replica at a time. A single replica has none: it would keep every node from being drained. */
function disruptionBudget(values: InstallValues, c: Component): PodDisruptionBudget {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: meta(values, c.name),
    spec: { maxUnavailable: 1, selector: { matchLabels: { [label.component]: c.name } } },
  };
}

function deployment(values: InstallValues, c: Component): Deployment {
  const selector = { [label.component]: c.name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: meta(values, c.name),
    spec: {
      replicas: c.replicas,
      selector: { matchLabels: selector },
      strategy: { type: 'RollingUpdate', rollingUpdate: rollingUpdate(values, c) },
      template: {
        metadata: {
          labels: { ...labels(c.name), [label.controlPlaneNs]: values.meshNamespace },
          annotations: { [annotation.proxyVersion]: VERSION },
        },
        spec: podSpec(values, c),
      },
    },
  };
}

/** One replica is never away; of several that may not share a node one must go before the next can come. */
function rollingUpdate(
  values: InstallValues,
  { replicas }: Component,
): { maxSurge: number; maxUnavailable: number } {
  const exclusive = replicas > 1 && values.podAntiAffinity === 'required';
  return exclusive ? { maxSurge: 0, maxUnavailable: 1 } : { maxSurge: 1, maxUnavailable: 0 };
}

function services(values: InstallValues): Service[] {
  const controlPlane = (name: string, portName: string, number: number): Service =>
    service(values, name, component.controlPlane, 'ClusterIP', {
      name: portName,
      port: number,
      targetPort: number,
    });
  return [
    controlPlane(component.identity, 'grpc-identity', port.identity),
    controlPlane(component.destination, 'grpc-destination', port.destination),
    controlPlane(component.policy, 'grpc-policy', port.policy),
    controlPlane(component.injector, 'https-injector', port.injector),
    service(values, component.gateway, component.gateway, values.gateway.serviceType, {
      name: GATEWAY_PORT_NAME,
      port: port.inbound,
      targetPort: port.inbound,
    }),
  ];
}

function service(
  values: InstallValues,
  name: string,
  of: string,
  type: GatewayServiceType,
  servicePort: ServicePort,
): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: meta(values, name, of),
    spec: { type, selector: { [label.component]: of }, ports: [{ ...servicePort, protocol: 'TCP' }] },
  };
}
