import type { Deployment, KubernetesObject, Service, ServicePort } from '../../api/kubernetes-types.ts';
import { annotation, component, GATEWAY_PORT_NAME, label, port, VERSION } from '../../api/names.ts';
import { type Component, labels, meta, podSpec } from './pod-parts.ts';
import type { InstallValues } from './values.ts';

function components(values: InstallValues): { component: Component; replicas: number }[] {
  return [
    {
      replicas: 1,
      component: {
        name: component.controlPlane,
        part: 'control-plane',
        adminPort: port.controlPlaneAdmin,
        identityToken: false,
        graceSeconds: 30,
        ports: [
          { name: 'identity', containerPort: port.identity },
          { name: 'destination', containerPort: port.destination },
          { name: 'policy', containerPort: port.policy },
          { name: 'injector', containerPort: port.injector },
        ],
        extraEnv: [
          { name: 'ISTHMUS_PROXY_MODE', value: values.proxyMode },
          { name: 'ISTHMUS_DEFAULT_INBOUND_POLICY', value: values.defaultInboundPolicy },
          { name: 'ISTHMUS_CLUSTER_NETWORKS', value: values.clusterNetworks.join(',') },
          { name: 'ISTHMUS_PROXY_IMAGE', value: values.image },
          { name: 'ISTHMUS_ADOPT_LINKERD', value: String(values.adoptLinkerd) },
        ],
      },
    },
    {
      replicas: 1,
      component: {
        name: component.mirrorController,
        part: 'mirror-controller',
        adminPort: port.mirrorControllerAdmin,
        identityToken: true,
        graceSeconds: 30,
        ports: [],
      },
    },
    {
      replicas: values.gatewayReplicas,
      component: {
        name: component.gateway,
        part: 'gateway',
        adminPort: port.admin,
        identityToken: true,
        graceSeconds: 60,
        ports: [{ name: GATEWAY_PORT_NAME, containerPort: port.inbound }],
      },
    },
  ];
}

export function workloads(values: InstallValues): KubernetesObject[] {
  return [...services(values), ...components(values).map((c) => deployment(values, c.component, c.replicas))];
}

function deployment(values: InstallValues, c: Component, replicas: number): Deployment {
  const selector = { [label.component]: c.name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: meta(values, c.name),
    spec: {
      replicas,
      selector: { matchLabels: selector },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
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
    service(values, component.gateway, component.gateway, 'LoadBalancer', {
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
  type: 'ClusterIP' | 'LoadBalancer',
  servicePort: ServicePort,
): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: meta(values, name, of),
    spec: { type, selector: { [label.component]: of }, ports: [{ ...servicePort, protocol: 'TCP' }] },
  };
}
