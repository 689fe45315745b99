import {
  NO_GRPC_STATUS,
  toldStatus,
  type AuthzMetrics,
  type Cause,
  type Exchange,
  type HttpCells,
  type HttpMetrics,
  type Labels,
  type MeshClient,
  type Requester,
} from '../proxy/index.ts';
import { ForwardedElements } from './forwarded.ts';
import { TargetNames } from './target-names.ts';

/** Targets whose cells are kept for one connection; registries bound the rest. */
const MAX_TARGETS = 256;

interface Cells {
  readonly http: HttpCells;
  allowed(opaque: boolean): void;
}

/** Counts what one client asks of the gateway, by exported service: who asked whom, and who was turned away. */
export class Asked {
  readonly #http: HttpMetrics;
  readonly #authz: AuthzMetrics;
  readonly #client: Labels;
  readonly #targets = new Map<string, Cells>();
  /** The targets that it names. */
  readonly names = new TargetNames();
  /** As observers of single requests show it. */
  readonly requester: Requester;
  /** Why it has nothing to ask here; undefined: it may ask. */
  readonly refusal: Cause | undefined;
  /** What is told of it in `forwarded`; undefined of a client that names no cluster. */
  readonly forwarded: ForwardedElements | undefined;

  /** @param gateway its SPIFFE ID */
  constructor(
    client: MeshClient,
    refusal: Cause | undefined,
    gateway: string,
    http: HttpMetrics,
    authz: AuthzMetrics,
  ) {
    this.refusal = refusal;
    this.#http = http;
    this.#authz = authz;
    const { spiffeId, dnsName } = client.peer;
    this.forwarded = spiffeId === undefined ? undefined : new ForwardedElements(gateway, spiffeId);
    this.requester = { address: client.address, port: client.port, name: spiffeId ?? dnsName ?? '' };
    this.#client = { direction: 'inbound', tls: 'true', client_id: spiffeId ?? dnsName ?? '' };
  }

  /** Counts the admission; the cells count the request and its response. */
  allowed(target: string, opaque: boolean): HttpCells {
    let cells = this.#targets.get(target);
    if (cells === undefined) {
      if (this.#targets.size >= MAX_TARGETS) this.#targets.clear();
      cells = this.#make(target);
      this.#targets.set(target, cells);
    }
    cells.allowed(opaque);
    return cells.http;
  }

  /** The series does not name what was asked for, or a client could make as many series as it likes. */
  denied(cause: Cause, x: Exchange): void {
    const { httpDeny, tcpDeny } = this.#authz;
    (x.opaque ? tcpDeny : httpDeny).cell({ ...this.#client, authz_name: cause.code }).add();
    if (x.opaque) return;
    const { status, grpcStatus = NO_GRPC_STATUS } = toldStatus(cause, x.grpc);
    const cells = this.#http.cells(this.#client);
    cells.request();
    cells.response({
      status,
      success: false,
      latencyMs: 0,
      grpcStatus,
      error: cause.code,
    });
  }

  #make(target: string): Cells {
    const labels = { ...this.#client, authority: target };
    const authz = { ...labels, authz_kind: 'export', authz_name: 'exported' };
    const http = this.#authz.httpAllow.cell(authz);
    const tcp = this.#authz.tcpAllow.cell(authz);
    return {
      http: this.#http.cells(labels),
      allowed: (opaque) => (opaque ? tcp : http).add(),
    };
  }
}
