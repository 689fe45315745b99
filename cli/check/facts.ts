import type { X509Certificate } from 'node:crypto';
import type { Link, TrustBundle } from '../../api/isthmus-types.ts';
import type {
  Container,
  Deployment,
  EndpointSlice,
  KubernetesList,
  KubernetesObject,
  MutatingWebhookConfiguration,
  Namespace,
  Node,
  Pod,
  Secret,
  Service,
} from '../../api/kubernetes-types.ts';
import { component, label, LINKERD_WEBHOOK, object } from '../../api/names.ts';
import { resources } from '../../kubernetes/resources.ts';
import { type KubernetesClient, KubernetesError, type Resource } from '../../kubernetes/types.ts';
import type { ClusterAccess } from '../cluster-access.ts';
import { UserError } from '../errors.ts';
import { readInstallation, readTrustAnchors } from '../install/installation.ts';
import type { InstallValues } from '../install/values.ts';
import { listMirrors } from '../link/mirrors.ts';

/** What a run is asked for. */
export interface CheckOptions {
  meshNamespace: string;
  /** Opens the cluster as the person's kubeconfig says; throws a `UserError`. */
  open: () => Promise<ClusterAccess>;
  /** Opens the context of the same kubeconfig that seems to be of the cluster with this id; throws a `UserError`. */
  openById: (clusterId: string) => Promise<ClusterAccess>;
  /** ms since the epoch. */
  now: () => number;
  /** `--namespace`: whose proxies are looked at; all when absent. */
  dataPlaneNamespace?: string | undefined;
  /** `--expected-version`. */
  expectedVersion?: string | undefined;
}

/** An API server's idea of the time against ours. */
export interface ClockReading {
  /** ms by which it is ahead. */
  aheadMs: number;
  /** ms by which the reading may be wrong. */
  uncertaintyMs: number;
}

/** Objects of one page; a page of large Pods is some 5 MB. */
const PAGE = 500;
/** `creationTimestamp` counts whole seconds. */
const TIMESTAMP_STEP_MS = 1_000;

/** What one round of checks has read of the cluster: each thing once, when the first check asks for it. A read that failed fails each check that needs it. */
export class Facts {
  readonly options: CheckOptions;
  readonly #read = new Map<string, Promise<unknown>>();

  constructor(options: CheckOptions) {
    this.options = options;
  }

  get meshNamespace(): string {
    return this.options.meshNamespace;
  }

  /** The cluster that is checked. */
  cluster(): Promise<ClusterAccess> {
    return this.options.open();
  }

  async client(): Promise<KubernetesClient> {
    return (await this.cluster()).client;
  }

  /** Throws a `UserError` when there is no installation. */
  values(): Promise<InstallValues> {
    return this.#once('values', async () => {
      const values = await readInstallation(await this.cluster(), this.meshNamespace);
      if (values !== undefined) return values;
      throw new UserError(
        `there is no ConfigMap ${object.configMap} in namespace ${this.meshNamespace}`,
        'Run `isthmus install --cluster-name NAME`, or name the namespace of the mesh with --isthmus-namespace.',
      );
    });
  }

  /** The trust anchors of the mesh namespace. */
  anchors(): Promise<X509Certificate[]> {
    return this.#once('anchors', async () => {
      const cluster = await this.cluster();
      try {
        return [...(await readTrustAnchors(cluster, this.meshNamespace)).values()];
      } catch (error) {
        if (error instanceof KubernetesError || error instanceof UserError) throw error;
        throw new UserError(
          `ConfigMap ${object.trustRootsConfigMap} in namespace ${this.meshNamespace} holds what is no certificate`,
          undefined,
          { cause: error },
        );
      }
    });
  }

  /** What proxies are told of other clusters' anchors. Throws where there is none. */
  trustBundle(): Promise<TrustBundle> {
    return this.#get(resources.trustBundles, undefined, object.trustBundle);
  }

  /** The issuer of this cluster, with its key. Throws where there is none. */
  issuerSecret(): Promise<Secret> {
    return this.#get(resources.secrets, this.meshNamespace, object.issuerSecret);
  }

  /** The webhook's serving certificate. Throws where there is none. */
  injectorSecret(): Promise<Secret> {
    return this.#get(resources.secrets, this.meshNamespace, object.injectorTlsSecret);
  }

  /** The registration of the injector. Throws where there is none. */
  webhook(): Promise<MutatingWebhookConfiguration> {
    return this.#get(resources.mutatingWebhookConfigurations, undefined, object.injectorWebhook);
  }

  /** A Deployment of the mesh namespace. Throws where there is none. */
  deployment(name: string): Promise<Deployment> {
    return this.#get(resources.deployments, this.meshNamespace, name);
  }

  nodes(): Promise<Node[]> {
    return this.#list('nodes', resources.nodes);
  }

  namespaces(): Promise<Namespace[]> {
    return this.#list('namespaces', resources.namespaces);
  }

  services(): Promise<Service[]> {
    return this.#list('services', resources.services);
  }

  pods(): Promise<Pod[]> {
    return this.#list('pods', resources.pods);
  }

  /** The components' pods that take part. */
  async componentPods(): Promise<Pod[]> {
    const pods = await this.pods();
    return pods.filter((pod) => {
      const { namespace, labels = {} } = pod.metadata ?? {};
      return namespace === this.meshNamespace && label.component in labels && takesPart(pod);
    });
  }

  /** Pods with a sidecar of this mesh that take part, of the namespace that was asked for. */
  async meshedPods(): Promise<Pod[]> {
    const { dataPlaneNamespace } = this.options;
    const pods = await this.pods();
    return pods.filter((pod) => {
      const { namespace, labels = {} } = pod.metadata ?? {};
      return (
        labels[label.controlPlaneNs] === this.meshNamespace &&
        proxyContainer(pod) !== undefined &&
        (dataPlaneNamespace === undefined || namespace === dataPlaneNamespace) &&
        takesPart(pod)
      );
    });
  }

  /** Of one namespace, whoever manages them. */
  endpointSlices(namespace: string): Promise<EndpointSlice[]> {
    return this.#list(`slices of ${namespace}`, resources.endpointSlices, { namespace });
  }

  /** To which clusters this one is linked. */
  links(): Promise<Link[]> {
    return this.#list('links', resources.links, { namespace: this.meshNamespace });
  }

  /** Services that our mirror controller has made. */
  mirrors(): Promise<Service[]> {
    return this.#once('mirrors', async () => listMirrors(await this.client()));
  }

  /** Slices that our mirror controller has made. */
  mirrorSlices(): Promise<EndpointSlice[]> {
    const labelSelector = `${label.mirroredService}=true,${label.managedBy}=${component.mirrorController}`;
    return this.#list('mirror slices', resources.endpointSlices, { labelSelector });
  }

  /** The Secret that a Link names, or undefined. */
  async linkSecret(link: Link): Promise<Secret | undefined> {
    const name = link.spec.clusterCredentialsSecret;
    return found(this.#get(resources.secrets, this.meshNamespace, name));
  }

  /** The API server's clock. */
  clock(): Promise<ClockReading> {
    return this.#once('clock', async () => readClock(await this.client(), this.options.now));
  }

  /** Whether a Linkerd control plane looks after `linkerd.io/inject` here. */
  ignoresLinkerd(): Promise<boolean> {
    return this.#once('linkerd', async () => {
      const client = await this.client();
      const theirs = client.get(resources.mutatingWebhookConfigurations, undefined, LINKERD_WEBHOOK);
      return (await found(theirs)) !== undefined && !(await this.values()).adoptLinkerd;
    });
  }

  #get<T extends KubernetesObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
  ): Promise<T> {
    return this.#once(`${resource.plural} ${namespace ?? ''} ${name}`, async () =>
      (await this.client()).get(resource, namespace, name),
    );
  }

  #list<T extends KubernetesObject>(
    key: string,
    resource: Resource<T>,
    where: { namespace?: string; labelSelector?: string } = {},
  ): Promise<T[]> {
    return this.#once(key, async () => {
      const client = await this.client();
      const items: T[] = [];
      let next: string | undefined;
      do {
        const page: KubernetesList<T> = await client.list(resource, {
          ...where,
          limit: PAGE,
          ...(next === undefined ? {} : { continue: next }),
        });
        items.push(...page.items);
        next = page.metadata?.continue;
      } while (next !== undefined && next !== '');
      return items;
    });
  }

  #once<T>(key: string, read: () => Promise<T>): Promise<T> {
    const known = this.#read.get(key) as Promise<T> | undefined;
    if (known !== undefined) return known;
    const reading = read();
    this.#read.set(key, reading);
    return reading;
  }
}

/** The object, or undefined when there is none. */
export async function found<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof KubernetesError && error.code === 404) return undefined;
    throw error;
  }
}

/** Neither finished nor on its way out. */
function takesPart(pod: Pod): boolean {
  const phase = pod.status?.phase;
  return pod.metadata?.deletionTimestamp === undefined && phase !== 'Succeeded' && phase !== 'Failed';
}

/** The sidecar; undefined when there is none. */
export function proxyContainer({ spec }: Pod): Container | undefined {
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  return containers.find(({ name }) => name === component.proxy);
}

/** `namespace/name`. */
export function nameOf({ metadata }: KubernetesObject): string {
  const { namespace, name = '' } = metadata ?? {};
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** Reads an API server's clock: everyone who is known may ask it who they are, and the answer has a time. */
export async function readClock(client: KubernetesClient, now: () => number): Promise<ClockReading> {
  const asked = now();
  const answer = await client.raw<KubernetesObject>(
    'POST',
    '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'SelfSubjectReview',
    },
  );
  const answered = now();
  const told = Date.parse(answer.metadata?.creationTimestamp ?? '');
  return {
    aheadMs: told + TIMESTAMP_STEP_MS / 2 - (asked + answered) / 2,
    uncertaintyMs: TIMESTAMP_STEP_MS / 2 + (answered - asked) / 2,
  };
}
