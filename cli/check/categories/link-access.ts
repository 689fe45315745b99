import { X509Certificate } from 'node:crypto';
import type { Link } from '../../../api/isthmus-types.ts';
import type { Secret } from '../../../api/kubernetes-types.ts';
import { CLOCK_SKEW_MS } from '../../../identity/index.ts';
import { createClient } from '../../../kubernetes/client.ts';
import { CredentialsError, linkCredentials } from '../../../kubernetes/credentials.ts';
import { type ClientConfig, type KubernetesClient, KubernetesError } from '../../../kubernetes/types.ts';
import { readClusterId } from '../../cluster-access.ts';
import { UserError } from '../../errors.ts';
import { type Check, ok, type Verdict, warning, worst } from '../check.ts';
import { isLasting, isValid, type Validity, validityOf } from '../certificate-verdicts.ts';
import { clockVerdict } from '../clock-verdict.ts';
import { type ClockReading, type Facts, readClock } from '../facts.ts';
import { mapLimited } from '../map-limited.ts';

/** What the credentials of links say, and what they open. */
export const linkAccessChecks: readonly Check[] = [
  {
    id: 'link-credentials-lasting',
    category: 'isthmus-multicluster',
    stage: 'installed',
    description: 'remote cluster access credentials are not near their end',
    needs: ['crds'],
    run: async (facts) => {
      const links = await facts.links();
      return worst('Links', await mapLimited(links, (link) => credentialsLast(facts, link)));
    },
  },
  {
    id: 'link-clocks',
    category: 'isthmus-multicluster',
    stage: 'installed',
    description: 'the clocks of linked clusters agree',
    needs: ['crds'],
    run: async (facts) => {
      const links = await facts.links();
      return worst('Links', await mapLimited(links, (link) => clocksAgree(facts, link)));
    },
  },
];

/** The access that a Link's Secret gives; a Secret that gives none is the matter of `link-credentials`. */
async function accessOf(facts: Facts, link: Link): Promise<ClientConfig | undefined> {
  const secret = await facts.linkSecret(link);
  try {
    return secret === undefined ? undefined : linkCredentials(kubeconfigOf(secret));
  } catch (thrown) {
    if (thrown instanceof CredentialsError) return undefined;
    throw thrown;
  }
}

function kubeconfigOf({ data }: Secret): string {
  return Buffer.from(data?.['kubeconfig'] ?? '', 'base64').toString('utf8');
}

async function credentialsLast(facts: Facts, link: Link): Promise<Verdict> {
  const validity = await credentialsValidity(await accessOf(facts, link));
  if (validity === undefined) return ok;
  const what = `the credential of link ${link.metadata?.name}`;
  const now = facts.options.now();
  const valid = isValid(what, validity, now);
  return valid.result === 'success' ? isLasting(what, validity, now) : valid;
}

/** Of a token by its own claims, of a client certificate by its dates; undefined when it tells no end. */
async function credentialsValidity(config: ClientConfig | undefined): Promise<Validity | undefined> {
  const auth = config?.auth;
  if (auth?.kind === 'certificate') return validityOf(new X509Certificate(auth.cert));
  if (auth?.kind !== 'token') return undefined;
  const claims = claimsOf(await auth.token());
  return claims?.exp === undefined ? undefined : { from: (claims.iat ?? 0) * 1000, to: claims.exp * 1000 };
}

/** RFC 7519; undefined for a token that is opaque. */
function claimsOf(token: string): { iat?: number; exp?: number } | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    return typeof claims === 'object' && claims !== null ? claims : undefined;
  } catch {
    return undefined;
  }
}

/** A leaf is valid from a little before it is issued: where the issuing cluster's clock is ahead by more, the other refuses it. */
async function clocksAgree(facts: Facts, link: Link): Promise<Verdict> {
  const here = await facts.clock();
  const there = await targetClock(facts, link);
  const target = link.spec.targetClusterName;
  if (there === undefined)
    return warning(`the API of cluster ${target} is not reached from here: its clock is not known`);
  const difference = {
    aheadMs: there.aheadMs - here.aheadMs,
    uncertaintyMs: there.uncertaintyMs + here.uncertaintyMs,
  };
  return clockVerdict(`the clock of cluster ${target}`, difference, CLOCK_SKEW_MS);
}

/** By the link's own credential, or, where its address is for pods only, by the person's context of that cluster. */
async function targetClock(facts: Facts, link: Link): Promise<ClockReading | undefined> {
  const config = await accessOf(facts, link);
  if (config !== undefined) {
    const client = createClient(config, { userAgent: 'isthmus-cli', requestTimeoutMs: TARGET_TIMEOUT_MS });
    const reading = await closing(client, (open) => readClock(open, facts.options.now));
    if (reading !== undefined) return reading;
  }
  try {
    const access = await facts.options.openById(link.spec.targetClusterName);
    return await closing(access.client, async (client) =>
      (await readClusterId(access)) === link.spec.targetClusterName
        ? readClock(client, facts.options.now)
        : undefined,
    );
  } catch (thrown) {
    if (thrown instanceof UserError) return undefined;
    throw thrown;
  }
}

/** Milliseconds: a target that is dead must not hold up the rest. */
const TARGET_TIMEOUT_MS = 5_000;

/** What the work came to, undefined where the API did not answer; the client is closed. */
async function closing<T>(
  client: KubernetesClient,
  work: (client: KubernetesClient) => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work(client);
  } catch (thrown) {
    if (thrown instanceof KubernetesError) return undefined;
    throw thrown;
  } finally {
    await client.close();
  }
}
