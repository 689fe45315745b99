import { X509Certificate } from 'node:crypto';
import { object } from '../../../api/names.ts';
import type { ConfigMap, Secret } from '../../../api/kubernetes-types.ts';
import { readIssuer } from '../../../identity/index.ts';
import { resources } from '../../../kubernetes/resources.ts';
import { type Check, error, none, ok, type Verdict, warning, worst } from '../check.ts';
import { certificateName, isLasting, isSupported, isValid, validityOf } from '../certificate-verdicts.ts';
import { type Facts, found, nameOf } from '../facts.ts';

/** Whether the certificates from which all others come are good. */
export const identityChecks: readonly Check[] = [
  {
    id: 'anchors-config',
    category: 'isthmus-identity',
    stage: 'installed',
    description: 'trust anchors are there',
    run: async (facts) =>
      (await facts.anchors()).length > 0
        ? ok
        : error(`ConfigMap ${object.trustRootsConfigMap} holds no trust anchor`),
  },
  {
    id: 'anchors-algorithm',
    category: 'isthmus-identity',
    stage: 'installed',
    description: 'trust anchors are using supported crypto algorithm',
    needs: ['anchors-config'],
    run: (facts) => ofAnchors(facts, isSupported),
  },
  {
    id: 'anchors-valid',
    category: 'isthmus-identity',
    stage: 'installed',
    description: 'trust anchors are within their validity period',
    needs: ['anchors-config'],
    run: (facts) => ofAnchors(facts, (what, x509) => isValid(what, validityOf(x509), facts.options.now())),
  },
  {
    id: 'anchors-lasting',
    category: 'isthmus-identity',
    stage: 'installed',
    description: 'trust anchors are valid for at least 60 days',
    needs: ['anchors-valid'],
    run: (facts) => ofAnchors(facts, (what, x509) => isLasting(what, validityOf(x509), facts.options.now())),
  },
  {
    id: 'anchors-everywhere',
    category: 'isthmus-identity',
    stage: 'installed',
    description: 'every namespace has the same trust anchors',
    needs: ['anchors-config'],
    waits: true,
    run: sameAnchors,
  },
  {
    id: 'issuer-config',
    category: 'isthmus-identity',
    stage: 'installed',
    description: 'issuer certificate config is valid',
    run: async (facts) => {
      const { x509, key } = issuerOf(await facts.issuerSecret());
      if (x509 === undefined) return error(`tls.crt of Secret ${object.issuerSecret} is no certificate`);
      return key === '' ? error(`Secret ${object.issuerSecret} has no tls.key`) : ok;
    },
  },
  {
    id: 'issuer-algorithm',
    category: 'isthmus-identity',
    stage: 'installed',
    description: 'issuer cert is using supported crypto algorithm',
    needs: ['issuer-config'],
    run: (facts) => ofIssuer(facts, isSupported),
  },
  {
    id: 'issuer-valid',
    category: 'isthmus-identity',
    stage: 'installed',
    description: 'issuer cert is within its validity period',
    needs: ['issuer-config'],
    run: (facts) => ofIssuer(facts, (what, x509) => isValid(what, validityOf(x509), facts.options.now())),
  },
  {
    id: 'issuer-lasting',
    category: 'isthmus-identity',
    stage: 'installed',
    description: 'issuer cert is valid for at least 60 days',
    needs: ['issuer-valid'],
    run: (facts) => ofIssuer(facts, (what, x509) => isLasting(what, validityOf(x509), facts.options.now())),
  },
  {
    id: 'issuer-anchored',
    category: 'isthmus-identity',
    stage: 'installed',
    description: 'issuer cert is issued by a trust anchor, for this cluster, and has its key',
    needs: ['anchors-valid', 'issuer-valid'],
    run: issuerHolds,
  },
  {
    id: 'trust-acknowledged',
    category: 'isthmus-identity',
    stage: 'installed',
    description: 'every workload has put the trust anchors into use',
    waits: true,
    run: acknowledged,
  },
];

async function ofAnchors(
  facts: Facts,
  judge: (what: string, x509: X509Certificate) => Verdict,
): Promise<Verdict> {
  const verdicts = (await facts.anchors()).map((x509) =>
    judge(`trust anchor ${certificateName(x509)}`, x509),
  );
  return worst('trust anchors', verdicts);
}

async function ofIssuer(
  facts: Facts,
  judge: (what: string, x509: X509Certificate) => Verdict,
): Promise<Verdict> {
  const { x509 } = issuerOf(await facts.issuerSecret());
  return x509 === undefined ? error('there is no issuer') : judge(`issuer ${certificateName(x509)}`, x509);
}

function issuerOf(secret: Secret): { pem: string; x509: X509Certificate | undefined; key: string } {
  const text = (name: string): string => Buffer.from(secret.data?.[name] ?? '', 'base64').toString('utf8');
  const pem = text('tls.crt');
  return { pem, x509: parsed(pem), key: text('tls.key') };
}

function parsed(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

/** As the control plane judges it before it issues anything. */
async function issuerHolds(facts: Facts): Promise<Verdict> {
  const { pem, key } = issuerOf(await facts.issuerSecret());
  const { clusterName, trustDomain } = await facts.values();
  const names = { clusterId: clusterName, trustDomain };
  try {
    readIssuer({ certificate: pem, key }, await facts.anchors(), names, facts.options.now());
    return ok;
  } catch (thrown) {
    return error(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

/** The copies from which pods start, against the bundle that is streamed to them later. */
async function sameAnchors(facts: Facts): Promise<Verdict> {
  const client = await facts.client();
  const { spec } = await facts.trustBundle();
  const wanted = fingerprints(spec.anchors.join('\n'));
  const copies = await client.list(resources.configMaps, {
    fieldSelector: `metadata.name=${object.trustRootsConfigMap}`,
  });
  const different = copies.items.filter(
    (copy) => fingerprints(copy.data?.[object.trustRootsKey] ?? '') !== wanted,
  );
  const missing = await namespacesWithout(facts, copies.items);
  return none('error', 'not the anchors of the TrustBundle', [
    ...different.map((copy) => `ConfigMap ${nameOf(copy)}`),
    ...missing.map((namespace) => `namespace ${namespace}: no ConfigMap ${object.trustRootsConfigMap}`),
  ]);
}

async function namespacesWithout(facts: Facts, copies: readonly ConfigMap[]): Promise<string[]> {
  const present = new Set(copies.map(({ metadata }) => metadata?.namespace));
  const meshed = (await facts.meshedPods()).map(({ metadata }) => metadata?.namespace ?? '');
  return [...new Set(meshed)].filter((namespace) => !present.has(namespace));
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Two bundles are the same when they hold the same certificates, in whatever order. */
function fingerprints(pem: string): string {
  const all = (pem.match(PEM) ?? []).map((block) => parsed(block)?.fingerprint256 ?? 'none');
  return all.toSorted().join();
}

async function acknowledged(facts: Facts): Promise<Verdict> {
  const bundle = await found(facts.trustBundle());
  if (bundle === undefined) return error(`there is no TrustBundle ${object.trustBundle}`);
  const condition = bundle.status?.conditions?.find((c) => c.type === 'Acknowledged');
  if (condition === undefined) return warning('the control plane has not told yet who has');
  if (condition.reason === 'Invalid') return error(`the TrustBundle is not used: ${condition.message ?? ''}`);
  return condition.status === 'True' ? ok : error(condition.message ?? 'some have not');
}
