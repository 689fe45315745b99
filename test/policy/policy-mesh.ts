import { fromBinary } from '@bufbuild/protobuf';

import type { Pod } from '../../api/kubernetes-types.ts';
import { component, label } from '../../api/names.ts';
import { GetDestinationSchema } from '../../api/proto/gen/linkerd/destination_pb.js';
import { PortSpecSchema } from '../../api/proto/gen/linkerd/inbound_pb.js';
import { TrafficSpecSchema } from '../../api/proto/gen/linkerd/outbound_pb.js';
import { methods } from '../../api/proto/methods.ts';
import { createDestinationService } from '../../destination/destination-service.ts';
import { createPolicyService } from '../../destination/policy-service.ts';
import type { PolicyKind, PolicyKinds } from '../../destination/policy/kinds.ts';
import type { ServerStream } from '../../destination/server-stream.ts';
import { namespace, service, settings, slice } from '../../destination/testing/fixture.ts';
import { Views } from '../../destination/views.ts';
import { startApp, type TestApp } from '../../proxy/testing/mesh/http.ts';
import { TestMesh, type TestCluster, type TestPod } from '../../proxy/testing/mesh/test-mesh.ts';
import { type Channel, GrpcError, grpcStatus, systemClock } from '../../workload-identity/index.ts';
import type { IncomingMessage } from 'node:http';

/** A pod with its sidecar and an app. */
export interface PolicyPod {
  readonly pod: TestPod;
  readonly app: TestApp;
  /** What the app was asked: method, path, and the fields of the last request. */
  readonly asked: string[];
  readonly last: { headers: IncomingMessage['headers'] };
  /** Whether the policy service sees the pod. */
  known(known: boolean): void;
  /** So many of the next requests are answered with 503. */
  failing: number;
}

/**
 * A control plane's policies and real sidecars in one process: what a test puts into the cluster's state goes the whole
 * way to the proxies, only the API server and the wire are left out.
 */
export class PolicyMesh {
  readonly mesh: TestMesh;
  readonly cluster: TestCluster;
  /** What the destination service sees, and what the policy service does: the one may be ahead of the other. */
  readonly #views = new Views();
  readonly #policyViews = new Views();
  readonly #names = new Map<string, number>();
  readonly #channel: Channel;

  private constructor(mesh: TestMesh, cluster: TestCluster) {
    this.mesh = mesh;
    this.cluster = cluster;
    this.#channel = channelTo(this.#views, this.#policyViews);
    this.#set((state) => state.setNamespace('shop', namespace('shop')));
  }

  static async create(): Promise<PolicyMesh> {
    const mesh = await TestMesh.create();
    return new PolicyMesh(mesh, await mesh.cluster('east'));
  }

  /** An app of the namespace that answers with its account's name. @param account also the value of its label `app` */
  async start(account: string, inNamespace = 'shop'): Promise<PolicyPod> {
    const pod = this.mesh.pod(this.cluster, account, inNamespace);
    const started: PolicyPod = {
      pod,
      asked: [],
      last: { headers: {} },
      known: (known) =>
        this.#policyViews.state.setPod(`${inNamespace}/${account}`, known ? kubernetesPod : undefined),
      failing: 0,
      app: await startApp(this.mesh, pod.ip, (request, response) => {
        started.asked.push(`${request.method} ${request.url}`);
        started.last.headers = request.headers;
        response.setHeader('x-app', account);
        if (started.failing > 0) {
          started.failing--;
          response.statusCode = 503;
        }
        response.end(account);
      }),
    };
    const { ip } = pod;
    const kubernetesPod: Pod = {
      metadata: {
        name: account,
        namespace: inNamespace,
        labels: { [label.controlPlaneNs]: 'isthmus', app: account },
      },
      spec: {
        serviceAccountName: account,
        initContainers: [{ name: component.proxy }],
        containers: [
          {
            name: 'app',
            ports: [{ name: 'http', containerPort: started.app.port }],
            readinessProbe: { httpGet: { port: 'http', path: '/ready' } },
          },
        ],
      },
      status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] },
    };
    this.#set((state) => state.setPod(`${inNamespace}/${account}`, kubernetesPod));
    await this.mesh.sidecar(this.cluster, pod, {}, { channel: () => this.#channel });
    return started;
  }

  /** A Service of the namespace `shop` on port 80 that leads to one pod. */
  service(name: string, { pod, app }: PolicyPod, annotations: Record<string, string> = {}): void {
    const number = this.#names.get(name) ?? this.#names.size + 10;
    this.#names.set(name, number);
    const ports = [{ name: 'http', port: 80, targetPort: app.port }];
    const made = service(name, ports, { annotations, spec: { clusterIP: `10.0.0.${number}`, ports } });
    const one = slice(name, [{ ip: pod.ip, pod: pod.names.serviceAccount }], { port: app.port });
    this.#set((state) => {
      state.setService(`shop/${name}`, made);
      state.setSlice(`shop/${name}-1`, one);
    });
  }

  put<K extends PolicyKind>(
    kind: K,
    name: string,
    spec: PolicyKinds[K]['spec'],
    more: Partial<PolicyKinds[K]['metadata']> = {},
  ): void {
    const metadata = { name, namespace: 'shop', ...more };
    const object = { metadata, spec } as PolicyKinds[K];
    this.#set((state) => state.setPolicy(kind, `${metadata.namespace}/${name}`, object));
  }

  remove(kind: PolicyKind, name: string, inNamespace = 'shop'): void {
    this.#set((state) => state.setPolicy(kind, `${inNamespace}/${name}`, undefined));
  }

  /** Until all that was put has been told to the proxies. */
  async told(): Promise<void> {
    // One turn until the changes are computed, one until they are heard.
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  close(): Promise<void> {
    return this.mesh.close();
  }

  #set(change: (state: Views['state']) => void): void {
    change(this.#views.state);
    change(this.#policyViews.state);
  }
}

/** Calls go to services in this process, answers come in a later turn as they would over a network. */
function channelTo(views: Views, policyViews: Views): Channel {
  const metrics = { opened: () => {}, closed: () => {}, sent: () => {}, stalled: () => {} };
  const deps = { clock: systemClock, metrics };
  const own = { ...settings, clusterNetworks: ['127.0.0.0/8'] };
  const destination = createDestinationService({ ...deps, views }, own);
  const policy = createPolicyService({ ...deps, views: policyViews }, own);
  const { getEndpoints, getProfile, watchPort, watchOutbound } = methods;
  const serve = (path: string, request: Uint8Array, stream: ServerStream<never>): void => {
    if (path === getEndpoints.path) destination.get(fromBinary(GetDestinationSchema, request), stream);
    else if (path === getProfile.path)
      destination.getProfile(fromBinary(GetDestinationSchema, request), stream);
    else if (path === watchPort.path) policy.watchPort(fromBinary(PortSpecSchema, request), stream);
    else if (path === watchOutbound.path)
      policy.watchOutbound(fromBinary(TrafficSpecSchema, request), stream);
    else throw new GrpcError(grpcStatus.unimplemented, `there is no ${path} in this test`);
  };
  return {
    unary: () => Promise.reject(new GrpcError(grpcStatus.unimplemented, 'only streams')),
    bidiStream: () => {
      throw new GrpcError(grpcStatus.unimplemented, 'only streams');
    },
    connect: () => {},
    close: () => {},
    serverStream: (method, message, handlers) => {
      const closers: (() => void)[] = [];
      let open = true;
      const close = (): void => {
        open = false;
        for (const closer of closers.splice(0)) closer();
      };
      const stream: ServerStream<never> = {
        write: (told: never) => {
          setImmediate(() => (open ? handlers.message(told) : undefined));
          return true;
        },
        onDrain: () => {},
        onClose: (closer) => void closers.push(closer),
        fail: (error) => {
          if (!open) return;
          close();
          setImmediate(() => handlers.end(error));
        },
      };
      setImmediate(() => {
        if (!open) return;
        try {
          serve(method.path, method.encode(message), stream);
        } catch (error) {
          if (!(error instanceof GrpcError)) throw error;
          stream.fail(error);
        }
      });
      return { cancel: close };
    },
  };
}
