import { configChecks } from './categories/config.ts';
import { dataPlaneChecks } from './categories/data-plane.ts';
import { existenceChecks } from './categories/existence.ts';
import { identityChecks } from './categories/identity.ts';
import { kubernetesChecks } from './categories/kubernetes.ts';
import { linkAccessChecks } from './categories/link-access.ts';
import { multiclusterChecks } from './categories/multicluster.ts';
import { policyChecks } from './categories/policies.ts';
import { preInstallChecks } from './categories/pre-install.ts';
import { versionChecks } from './categories/versions.ts';
import { webhookTlsChecks } from './categories/webhook-tls.ts';
import type { Check, Stage } from './check.ts';

/** Every check there is, in the order in which they are told. */
export const checks: readonly Check[] = [
  ...kubernetesChecks,
  ...preInstallChecks,
  ...existenceChecks,
  ...configChecks,
  ...policyChecks,
  ...identityChecks,
  ...webhookTlsChecks,
  ...versionChecks,
  ...dataPlaneChecks,
  ...multiclusterChecks,
  ...linkAccessChecks,
];

/** Those of a run: `--pre` is before an installation, `--proxy` adds the proxies. */
export function checksFor(run: { pre: boolean; proxy: boolean }): Check[] {
  const stages: Stage[] = run.pre
    ? ['always', 'pre']
    : ['always', 'installed', ...(run.proxy ? (['proxy'] as const) : [])];
  return checks.filter(({ stage }) => stages.includes(stage));
}
