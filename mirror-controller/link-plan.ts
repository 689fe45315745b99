import type { Link } from '../api/isthmus-types.ts';
import type { Secret } from '../api/kubernetes-types.ts';
import { CredentialsError, linkCredentials } from '../kubernetes/credentials.ts';
import { LinkProblem, linkSettings } from './link-settings.ts';
import type { LinkSettings } from './link-settings.ts';
import type { LinkPlan } from './link-supervisor.ts';
import { plainConfig } from './plain-config.ts';

const KUBECONFIG_KEY = 'kubeconfig';

/** What a Link and its Secret ask for, or why they can not be followed. Never throws for what someone wrote. */
export async function planLink(
  link: Link,
  ownClusterId: string,
  secret: (name: string) => Secret | undefined,
): Promise<LinkPlan> {
  let settings: LinkSettings;
  try {
    settings = linkSettings(link);
  } catch (error) {
    if (!(error instanceof LinkProblem)) throw error;
    return { kind: 'invalid', problem: error.message };
  }
  if (settings.target === ownClusterId) {
    return {
      kind: 'invalid',
      problem: `spec.targetClusterName "${settings.target}" is this very cluster: a link leads to another one`,
    };
  }
  return planCredentials(settings, secret(settings.credentialsSecret));
}

async function planCredentials(settings: LinkSettings, secret: Secret | undefined): Promise<LinkPlan> {
  const refused = (reason: string, message: string): LinkPlan => ({
    kind: 'no-credentials',
    settings,
    reason,
    message,
  });
  const name = settings.credentialsSecret;
  if (secret === undefined) {
    return refused(
      'SecretNotFound',
      `the Secret "${name}" does not exist in the Link's namespace; link again to make it`,
    );
  }
  const encoded = secret.data?.[KUBECONFIG_KEY];
  if (encoded === undefined || encoded === '') {
    return refused('SecretInvalid', `the Secret "${name}" has no key "${KUBECONFIG_KEY}"`);
  }
  try {
    const config = linkCredentials(Buffer.from(encoded, 'base64').toString('utf8'));
    return { kind: 'run', settings, remote: await plainConfig(config) };
  } catch (error) {
    if (!(error instanceof CredentialsError)) throw error;
    return refused('KubeconfigRefused', `the Secret "${name}": ${error.message}`);
  }
}
