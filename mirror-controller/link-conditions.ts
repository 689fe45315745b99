import type { LinkConditionType } from '../api/isthmus-types.ts';
import type { NewCondition } from '../kubernetes/conditions.ts';
import type { ApiState, LinkReport } from './messages.ts';
import type { GatewayView } from './mirror-objects.ts';
import type { ProbeResult, TrustVerdict } from './probe-connection.ts';

/** Everything that a Link's conditions are made of. */
export interface LinkView {
  /** What is wrong with the Link itself. */
  problem: string | undefined;
  credentials: { kind: 'taken' } | { kind: 'refused'; reason: string; message: string };
  /** Why the link's worker is down. */
  crash: string | undefined;
  /** The worker's last report. */
  report: LinkReport | undefined;
  gateway: GatewayView | undefined;
  probe: ProbeResult | undefined;
  trust: { verdict: TrustVerdict; reason: string; message: string } | undefined;
  mirrored: number;
  /** Exported services that have no mirror. */
  unmirrored: number;
}

type Verdict = Pick<NewCondition, 'status' | 'reason' | 'message'>;

/** The conditions of a Link: one for everything a person would ask, each with an honest reason. */
export function linkConditions(view: LinkView, generation: number | undefined): NewCondition[] {
  const verdicts: [LinkConditionType, Verdict][] = [
    ['CredentialsValid', credentialsValid(view)],
    ['ApiReachable', apiReachable(view)],
    ['GatewayAlive', gatewayAlive(view)],
    ['TrustShared', trustShared(view)],
    ['Synced', synced(view)],
  ];
  const observed = generation === undefined ? {} : { observedGeneration: generation };
  return verdicts.map(([type, verdict]) => ({ type, ...verdict, ...observed }));
}

function credentialsValid(view: LinkView): Verdict {
  if (view.problem !== undefined) return unknown('InvalidLink', 'the Link is not usable; see Synced');
  if (view.credentials.kind === 'refused') return no(view.credentials.reason, view.credentials.message);
  const api = apiOf(view);
  if (api.kind === 'failing' && (api.code === 401 || api.code === 403)) {
    const what =
      api.code === 401
        ? 'does not know the credential (has it expired?)'
        : 'does not grant what a link needs';
    return no(api.reason, `the target's API server ${what}: ${api.message}`);
  }
  if (api.kind === 'reachable') return yes('Accepted', "the target's API server accepts the credential");
  return unknown('NotTried', "the target's API server has not judged the credential yet");
}

function apiReachable(view: LinkView): Verdict {
  if (view.problem !== undefined) return unknown('InvalidLink', 'the Link is not usable; see Synced');
  if (view.credentials.kind === 'refused')
    return unknown('NoCredentials', 'without credentials nothing is asked');
  const api = apiOf(view);
  if (api.kind === 'reachable') return yes('Watching', "the target's API server is being watched");
  if (api.kind === 'untried') return unknown('NotTried', "the target's API server has not answered yet");
  if (api.code === 401 || api.code === 403) return yes('Answering', "the target's API server answers");
  return no(api.reason, `${api.message}; mirrors stay as they are`);
}

function gatewayAlive(view: LinkView): Verdict {
  const { gateway, probe } = view;
  if (gateway === undefined) return unknown('InvalidLink', 'the Link is not usable; see Synced');
  if (probe?.kind === 'failed') {
    if (gateway.alive === false)
      return no(probe.reason, `${probe.message}; the mirrors' endpoints are not ready`);
    if (gateway.alive === undefined) return unknown(probe.reason, probe.message);
  }
  if (gateway.alive === true) return yes('ProbeSucceeded', 'the gateway answers over mutual TLS');
  return unknown('NotProbed', 'the gateway has not been probed yet');
}

function trustShared({ trust }: LinkView): Verdict {
  if (trust === undefined) return unknown('InvalidLink', 'the Link is not usable; see Synced');
  const status = { shared: 'True', refused: 'False', unknown: 'Unknown' } as const;
  return { status: status[trust.verdict], reason: trust.reason, message: trust.message };
}

function synced(view: LinkView): Verdict {
  if (view.problem !== undefined) return no('InvalidLink', view.problem);
  if (view.credentials.kind === 'refused')
    return no('NoCredentials', 'nothing is mirrored without credentials; see CredentialsValid');
  if (view.crash !== undefined)
    return no('WorkerCrashed', `the link's worker ended (${view.crash}) and is started again; mirrors stay`);
  const { report } = view;
  if (report?.identity.kind === 'self') {
    return no('LinkToSelf', 'the credentials lead to this very cluster: nothing is mirrored');
  }
  if (report?.identity.kind === 'another') {
    return no(
      'WrongCluster',
      `the credentials lead to cluster "${report.identity.clusterId}": nothing is mirrored from it`,
    );
  }
  if (report === undefined || report.api.kind === 'untried')
    return unknown('Starting', 'the first synchronisation has not ended');
  if (report.api.kind === 'failing')
    return no('ApiUnreachable', "the target's API can not be followed; mirrors stay as they are");
  if (!report.synced) return no('Syncing', 'changes are being mirrored');
  const left = view.unmirrored === 0 ? '' : `, ${view.unmirrored} not (see status.mirrorServices)`;
  return yes('Synced', `${view.mirrored} services mirrored${left}`);
}

function apiOf(view: LinkView): ApiState {
  if (view.crash !== undefined) {
    return {
      kind: 'failing',
      code: 0,
      reason: 'WorkerCrashed',
      message: `the link's worker ended: ${view.crash}`,
    };
  }
  return view.report?.api ?? { kind: 'untried' };
}

function yes(reason: string, message: string): Verdict {
  return { status: 'True', reason, message };
}

function no(reason: string, message: string): Verdict {
  return { status: 'False', reason: reasonName(reason), message };
}

function unknown(reason: string, message: string): Verdict {
  return { status: 'Unknown', reason, message };
}

/** A condition's reason must be a name (metav1.Condition). */
function reasonName(reason: string): string {
  return /^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/.test(reason) ? reason : 'Failed';
}
