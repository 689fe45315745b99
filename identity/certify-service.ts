import { create } from '@bufbuild/protobuf';
import {
  type CertifyRequest,
  type CertifyResponse,
  CertifyResponseSchema,
} from '../api/proto/gen/linkerd/identity_pb.js';
import { dnsIdentity } from '../api/names.ts';
import type { EventRecorder } from '../kubernetes/events.ts';
import { errorMessage } from '../kubernetes/log.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import {
  type Clock,
  type CsrFacts,
  GrpcError,
  grpcStatus,
  type IssuedCertificate,
  readCsr,
  type WorkloadNames,
} from '../workload-identity/index.ts';
import type { IssuerState } from './issuer-watch.ts';
import { issueLeaf } from './leaf.ts';
import { reviewToken } from './token-review.ts';

/** Requests at a time: each waits for a TokenReview; more than this means that the API server is slow, and a client is better told to come back. */
const MAX_CONCURRENT = 256;
/** Bytes; a token bound to a pod has about 1 KiB, a request about 300. */
const MAX_TOKEN_BYTES = 16_384;
const MAX_CSR_BYTES = 4_096;
/** ms; a leaf shorter than this would be renewed without pause. */
const MIN_LEAF_MS = 60_000;

/** What the cluster is called in certificates. */
export interface IdentitySettings {
  clusterId: string;
  trustDomain: string;
  meshNamespace: string;
  /** ms; default 24 h. */
  leafLifetimeMs?: number;
}

/** Issues certificates to workloads that show a ServiceAccount token. */
export class CertifyService {
  readonly #deps: CertifyDeps;
  #running = 0;

  constructor(deps: CertifyDeps) {
    this.#deps = deps;
  }

  /**
   * `Identity.Certify`. Throws a `GrpcError`: InvalidArgument for a request that can't be right, Unauthenticated for
   * the token, PermissionDenied for an identity that is not the token's, FailedPrecondition while the issuer has
   * expired, Unavailable while there is none.
   */
  async certify(request: CertifyRequest): Promise<CertifyResponse> {
    if (this.#running >= MAX_CONCURRENT) {
      throw new GrpcError(grpcStatus.unavailable, 'too many requests for certificates are under way');
    }
    this.#running++;
    try {
      return await this.#certify(request);
    } catch (error) {
      this.#deps.counted(error instanceof GrpcError ? error.code : grpcStatus.internal);
      throw error;
    } finally {
      this.#running--;
    }
  }

  async #certify(request: CertifyRequest): Promise<CertifyResponse> {
    checkRequest(request);
    const csr = parseCsr(request.certificateSigningRequest);
    checkCsrNames(csr, request.identity);
    // Before the review: a client need not wait for an answer that is already known.
    this.#signer();
    const owner = await reviewToken(this.#deps.client, Buffer.from(request.token).toString('utf8'));
    const names = { ...this.#deps.settings, ...owner };
    const identity = dnsIdentity(names);
    if (request.identity !== identity) {
      throw new GrpcError(
        grpcStatus.permissionDenied,
        `the token is that of ${identity}, not of ${request.identity}`,
      );
    }
    const issued = this.#issue(csr, names);
    this.#recordIssue(names, issued);
    this.#deps.counted(grpcStatus.ok);
    return create(CertifyResponseSchema, {
      leafCertificate: issued.leaf,
      intermediateCertificates: [...issued.intermediates],
      validUntil: { seconds: BigInt(Math.floor(issued.validUntil / 1000)) },
    });
  }

  /** A certificate for the process itself, which needs no token to prove who it is to itself. Throws a `GrpcError`. */
  certifyOwn(csrDer: Uint8Array, names: WorkloadNames): IssuedCertificate {
    const csr = parseCsr(csrDer);
    checkCsrNames(csr, dnsIdentity(names));
    return this.#issue(csr, names);
  }

  #issue(csr: CsrFacts, names: WorkloadNames): IssuedCertificate {
    const { clock, settings } = this.#deps;
    const { signer, chain } = this.#signer();
    const leaf = issueLeaf(signer, csr.publicKey, names, clock.now(), settings.leafLifetimeMs);
    return { leaf: leaf.certificate, intermediates: chain, validUntil: leaf.notAfter };
  }

  #signer() {
    const state = this.#deps.issuer();
    if (state.kind === 'waiting') {
      throw new GrpcError(grpcStatus.unavailable, `there is no issuer yet: ${state.reason}`);
    }
    const { signer } = state.material;
    if (this.#deps.clock.now() > signer.notAfter - MIN_LEAF_MS) {
      throw new GrpcError(
        grpcStatus.failedPrecondition,
        `the issuer of this cluster is not valid: it ends at ${new Date(signer.notAfter).toISOString()}`,
      );
    }
    return state.material;
  }

  #recordIssue(names: WorkloadNames, issued: IssuedCertificate): void {
    const about = {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { namespace: names.namespace, name: names.serviceAccount },
    };
    this.#deps.events.record(
      about,
      'Normal',
      'IssuedLeafCertificate',
      `issued a certificate for ${dnsIdentity(names)} that is valid until ${new Date(issued.validUntil).toISOString()}`,
    );
  }
}

export interface CertifyDeps {
  client: KubernetesClient;
  issuer: () => IssuerState;
  settings: IdentitySettings;
  events: EventRecorder;
  clock: Clock;
  /** Told the status code of each request. */
  counted: (code: number) => void;
}

function invalid(details: string): GrpcError {
  return new GrpcError(grpcStatus.invalidArgument, details);
}

function checkRequest(request: CertifyRequest): void {
  if (request.identity === '') throw invalid('the request names no identity');
  if (request.token.length === 0) throw invalid('the request has no token');
  if (request.token.length > MAX_TOKEN_BYTES)
    throw invalid(`the token is longer than ${MAX_TOKEN_BYTES} bytes`);
  const { length } = request.certificateSigningRequest;
  if (length === 0) throw invalid('the request has no certificate signing request');
  if (length > MAX_CSR_BYTES)
    throw invalid(`the certificate signing request is longer than ${MAX_CSR_BYTES} bytes`);
}

function parseCsr(der: Uint8Array): CsrFacts {
  try {
    return readCsr(der);
  } catch (error) {
    throw invalid(`the certificate signing request is not acceptable: ${errorMessage(error)}`);
  }
}

/** Linkerd's rules: one DNS name, which is the identity; no names of other kinds; the common name, if any, is the identity. */
function checkCsrNames(csr: CsrFacts, identity: string): void {
  const { dns, uri, others } = csr.names;
  if (uri.length > 0 || others > 0)
    throw invalid('the certificate signing request has names that are not DNS names');
  if (dns.length !== 1)
    throw invalid(`the certificate signing request has ${dns.length} DNS names instead of one`);
  if (dns[0] !== identity)
    throw invalid(`the certificate signing request is for ${dns[0]}, the request for ${identity}`);
  if (csr.commonNames.some((name) => name !== '' && name !== identity)) {
    throw invalid('the common name of the certificate signing request is not the identity');
  }
}
