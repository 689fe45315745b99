import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { Pod } from '../../../api/kubernetes-types.ts';
import { annotation, component, object } from '../../../api/names.ts';
import { resources } from '../../../kubernetes/resources.ts';
import { KubernetesError } from '../../../kubernetes/types.ts';
import { type Check, error, none, ok, type Verdict, warning } from '../check.ts';
import { isLasting, isValid, validityOf } from '../certificate-verdicts.ts';
import { type Facts, proxyContainer } from '../facts.ts';

/** A namespace that every cluster has and that the webhook sees. */
const TRIAL_NAMESPACE = 'default';

/** Whether the API server can call the injector, and gets sidecars from it. */
export const webhookTlsChecks: readonly Check[] = [
  {
    id: 'injector-cert',
    category: 'isthmus-webhooks-and-apisvc-tls',
    stage: 'installed',
    description: 'proxy-injector webhook has valid cert',
    waits: true,
    run: servingCertificate,
  },
  {
    id: 'injector-cert-lasting',
    category: 'isthmus-webhooks-and-apisvc-tls',
    stage: 'installed',
    description: 'proxy-injector cert is renewed in time',
    needs: ['injector-cert'],
    run: async (facts) => {
      const x509 = new X509Certificate(await secretText(facts, 'tls.crt'));
      return isLasting("the injector's certificate", validityOf(x509), facts.options.now());
    },
  },
  {
    id: 'injector-works',
    category: 'isthmus-webhooks-and-apisvc-tls',
    stage: 'installed',
    description: 'proxy-injector adds a sidecar to a pod that asks for one',
    needs: ['webhook-config'],
    waits: true,
    run: trial,
  },
];

async function secretText(facts: Facts, key: string): Promise<string> {
  return Buffer.from((await facts.injectorSecret()).data?.[key] ?? '', 'base64').toString('utf8');
}

/** The certificate that is served, as an API server judges it. */
async function servingCertificate(facts: Facts): Promise<Verdict> {
  const host = `${component.injector}.${facts.meshNamespace}.svc`;
  const what = `the certificate in Secret ${object.injectorTlsSecret}`;
  let x509: X509Certificate;
  let hasKey: boolean;
  try {
    x509 = new X509Certificate(await secretText(facts, 'tls.crt'));
    hasKey = x509.checkPrivateKey(createPrivateKey(await secretText(facts, 'tls.key')));
  } catch (thrown) {
    if (thrown instanceof KubernetesError) throw thrown;
    return error(`Secret ${object.injectorTlsSecret} does not hold a certificate and its key`);
  }
  if (!hasKey) return error(`${what} has another key than tls.key`);
  if (x509.checkHost(host) === undefined) return error(`${what} is not for ${host}`);
  const valid = isValid(what, validityOf(x509), facts.options.now());
  if (valid.result !== 'success') return valid;
  const distrusting = ((await facts.webhook()).webhooks ?? [])
    .filter(({ clientConfig }) => !isSignedByOneOf(x509, clientConfig.caBundle ?? ''))
    .map(({ name }) => name);
  return none('error', `the caBundle has no CA that signed ${what}, in webhook`, distrusting);
}

function isSignedByOneOf(x509: X509Certificate, bundle: string): boolean {
  const pem = Buffer.from(bundle, 'base64').toString('utf8');
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.some((block) => {
    try {
      const ca = new X509Certificate(block);
      return x509.checkIssued(ca) && x509.verify(ca.publicKey);
    } catch {
      return false;
    }
  });
}

/** A dry run: the API server calls the webhook as for any pod, and keeps nothing. */
async function trial(facts: Facts): Promise<Verdict> {
  const client = await facts.client();
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'isthmus-check',
      namespace: TRIAL_NAMESPACE,
      annotations: { [annotation.inject]: 'enabled' },
    },
    spec: { containers: [{ name: 'app', image: 'isthmus.dev/check' }] },
  };
  try {
    const made = await client.create(resources.pods, pod, { dryRun: true });
    return proxyContainer(made) === undefined
      ? error(
          'the API server did not get a sidecar from the webhook: see its log, and whether it reaches the Service isthmus-injector',
        )
      : ok;
  } catch (thrown) {
    if (!(thrown instanceof KubernetesError) || thrown.code === 0) throw thrown;
    // With failurePolicy Fail the API server tells of the webhook; other refusals are about pods in that namespace.
    if (/failed calling webhook/.test(thrown.message)) return error(thrown.message);
    return warning(`it could not be tried in namespace ${TRIAL_NAMESPACE}: ${thrown.message}`);
  }
}
