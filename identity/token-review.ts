import type { TokenReview } from '../api/kubernetes-types.ts';
import { IDENTITY_TOKEN_AUDIENCE } from '../api/names.ts';
import { errorMessage } from '../kubernetes/log.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import { GrpcError, grpcStatus } from '../workload-identity/index.ts';

const PATH = '/apis/authentication.k8s.io/v1/tokenreviews';
const USERNAME = /^system:serviceaccount:([a-z0-9-]+):([a-z0-9.-]+)$/;

/** A ServiceAccount that has shown its token. */
export interface TokenOwner {
  namespace: string;
  serviceAccount: string;
}

/**
 * Asks the API server whose token this is. Throws Unauthenticated when it is nobody's, has expired or is for another audience, and Unavailable when the server
 * gave no answer.
 */
export async function reviewToken(client: KubernetesClient, token: string): Promise<TokenOwner> {
  const review = await ask(client, token);
  const status = review.status;
  if (status?.authenticated !== true) {
    throw new GrpcError(
      grpcStatus.unauthenticated,
      `the token was not accepted: ${status?.error ?? 'not authenticated'}`,
    );
  }
  // A server that does not know audiences leaves them out; then a token for the API itself would pass.
  if (status.audiences?.includes(IDENTITY_TOKEN_AUDIENCE) !== true) {
    throw new GrpcError(
      grpcStatus.unauthenticated,
      `the token is not for audience ${IDENTITY_TOKEN_AUDIENCE}`,
    );
  }
  const match = USERNAME.exec(status.user?.username ?? '');
  const [, namespace, serviceAccount] = match ?? [];
  if (namespace === undefined || serviceAccount === undefined) {
    throw new GrpcError(grpcStatus.unauthenticated, 'the token is not that of a ServiceAccount');
  }
  return { namespace, serviceAccount };
}

async function ask(client: KubernetesClient, token: string): Promise<TokenReview> {
  const review: TokenReview = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token, audiences: [IDENTITY_TOKEN_AUDIENCE] },
  };
  try {
    return await client.raw<TokenReview>('POST', PATH, review);
  } catch (error) {
    throw new GrpcError(grpcStatus.unavailable, `the token could not be reviewed: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}
