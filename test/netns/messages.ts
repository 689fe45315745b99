import type { DefaultInboundPolicy } from '../../api/default-policies.ts';
import type { ProxyPorts } from '../../proxy/config.ts';
import type { FakeEndpoint, FakeExport } from '../../proxy/testing/mesh/fake-control-plane.ts';
import type { WorkloadNames } from '../../workload-identity/index.ts';

/** From a sidecar's process to the test. */
export type FromSidecar =
  | { readonly kind: 'csr'; readonly csr: string }
  | { readonly kind: 'ready' }
  | { readonly kind: 'done' };

/** Who a process of the data plane is, and where. */
interface Where {
  readonly names: WorkloadNames;
  readonly ip: string;
  readonly anchorsFile: string;
}

/** To a process of the data plane. One of the two starts comes first; base64 where bytes are meant. */
export type ToSidecar =
  | (Where & {
      readonly kind: 'start';
      readonly opaquePorts: readonly number[];
      /** What the pod's containers declare. */
      readonly appPorts: readonly number[];
      /** Paths that a kubelet asks for, by port. */
      readonly probes: readonly (readonly [number, readonly string[]])[];
      readonly ports: ProxyPorts;
      readonly ingress: boolean;
      /** What holds for ports that no policy names; undefined: the control plane says of them that everybody may. */
      readonly defaultPolicy: DefaultInboundPolicy | undefined;
      readonly clusterNetworks: readonly string[];
    })
  | (Where & { readonly kind: 'start-gateway'; readonly exports: FakeExport[] })
  | { readonly kind: 'leaf'; readonly leaf: string; readonly issuer: string; readonly validUntil: number }
  | {
      readonly kind: 'service';
      readonly authority: string;
      readonly endpoints: FakeEndpoint[];
      readonly opaque: boolean;
    }
  /** Only these identities may; empty: whoever comes. */
  | { readonly kind: 'policy'; readonly port: number; readonly identities: string[] }
  /** As for a pod that the control plane does not see yet: the port is closed. */
  | { readonly kind: 'unseen'; readonly port: number };

/** What an app's process is asked to do. */
export type AppTask =
  /** Answers each request with what it saw of it, as JSON. */
  | { readonly do: 'serve-http'; readonly host: string; readonly port: number }
  /** Sends `greeting` at once, then every byte back; `tls` with a key made for the test. */
  | { readonly do: 'serve-tcp'; readonly host: string; readonly port: number; readonly greeting: string }
  /** Sends `greeting`, ends its side at once, and keeps what comes after that; `heard` answers it when the client has ended too. */
  | { readonly do: 'serve-farewell'; readonly port: number; readonly greeting: string }
  | { readonly do: 'heard' }
  | { readonly do: 'serve-http2'; readonly port: number }
  | {
      readonly do: 'ask-http2';
      readonly url: string;
      readonly authority: string;
      /** One request each, at once on one connection; empty: a GET. */
      readonly bodies: readonly string[];
    }
  | { readonly do: 'serve-grpc'; readonly host: string; readonly port: number }
  | { readonly do: 'call-grpc'; readonly target: string; readonly words: readonly string[] }
  | { readonly do: 'serve-tls'; readonly port: number; readonly key: string; readonly cert: string }
  /** HTTP/1 with bodies of the test's own (`bulk-app.ts`). */
  | { readonly do: 'serve-bulk'; readonly port: number }
  | { readonly do: 'download' | 'upload'; readonly url: string; readonly bytes: number }
  /** A download by POST, which fails when it has not come after so many ms. */
  | {
      readonly do: 'download-once';
      readonly url: string;
      readonly bytes: number;
      readonly limitMs: number;
    }
  /** Asks for an answer without an end: done when its first bytes have come. */
  | { readonly do: 'begin-endless'; readonly url: string }
  /** How the answer without an end has ended after all. */
  | { readonly do: 'endless-ended' }
  | {
      readonly do: 'get';
      readonly url: string;
      readonly headers?: Record<string, string>;
      readonly method?: 'POST';
    }
  /** Connects, sends, ends, and answers what came. `waits`: says nothing until the server has spoken. */
  | {
      readonly do: 'talk';
      readonly host: string;
      readonly port: number;
      readonly send: string;
      readonly waits: boolean;
    }
  /** `key` and `cert`: as a client of the mesh. */
  | {
      readonly do: 'talk-tls';
      readonly host: string;
      readonly port: number;
      readonly serverName: string;
      readonly send: string;
      readonly key?: string;
      readonly cert?: string;
    };

/** What an HTTP app saw of a request. */
export interface Seen {
  /** Address of the connection's other end. */
  readonly from: string;
  readonly host: string | undefined;
  /** `l5d-client-id` */
  readonly client: string | undefined;
}

/** What a client of gRPC was answered. */
export interface CallsSeen {
  /** `l5d-client-id`, as the server saw it. */
  readonly who: string;
  readonly missing: string;
  readonly talk: readonly string[];
}

export type AppResult =
  | { readonly kind: 'done' }
  | { readonly kind: 'answers'; readonly answers: readonly string[] }
  | { readonly kind: 'calls'; readonly seen: CallsSeen }
  | { readonly kind: 'answer'; readonly status: number; readonly body: string }
  /** `intact`: byte for byte what was sent. */
  | { readonly kind: 'moved'; readonly status: number; readonly intact: boolean }
  | { readonly kind: 'bytes'; readonly text: string }
  | { readonly kind: 'failed'; readonly error: string };
