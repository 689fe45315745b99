import { BlockList, isIPv6 } from 'node:net';
import { exposition, EXPOSITION_TYPE } from './telemetry/exposition.ts';
import type { Registry } from './telemetry/registry.ts';

/** What the admin server's answers are made of. */
export interface AdminAnswers {
  registry: Registry;
  /** Why requests cannot be served now; undefined: they can. */
  unready: () => string | undefined;
  /** Shown by `/env.json`. */
  env: NodeJS.ProcessEnv;
  /** Ends the process in order, on `POST /shutdown`. Absent: nobody may ask for that. */
  shutDown?: () => void;
}

/** What a request is answered with. */
export interface AdminAnswer {
  readonly status: number;
  readonly type: string;
  /** All of it, or slice by slice as the reader takes it. */
  readonly body: string | AsyncGenerator<string>;
  /** Called when the answer has been written. */
  readonly afterwards?: () => void;
}

/** Names of variables whose values are shown: our own settings and the downward API's. What else is in the environment is nobody's business. */
const SHOWN = /^(ISTHMUS_|POD_|NODE_NAME$|SERVICE_ACCOUNT$)/;
/** Values that could be secrets are not shown, only that they are set. Names of files are no secrets. */
const SECRET = /(TOKEN|SECRET|PASSWORD|KEY)(?!.*_FILE$)/;

/** The answer to one request. @param remoteAddress whose it is; undefined: the connection has gone */
export function adminAnswer(
  method: string,
  path: string,
  remoteAddress: string | undefined,
  answers: AdminAnswers,
): AdminAnswer {
  if (path === '/shutdown') return shutdown(method, remoteAddress, answers.shutDown);
  if (method !== 'GET' && method !== 'HEAD') return text(405, 'only GET');
  switch (path) {
    case '/live':
      return text(200, 'live');
    case '/ready': {
      const reason = answers.unready();
      return text(reason === undefined ? 200 : 503, reason ?? 'ready');
    }
    case '/env.json':
      return {
        status: 200,
        type: 'application/json',
        body: `${JSON.stringify(shownEnv(answers.env))}\n`,
      };
    case '/metrics':
      return { status: 200, type: EXPOSITION_TYPE, body: exposition(answers.registry) };
    default:
      return text(404, 'there are /live, /ready, /metrics, /env.json and /shutdown');
  }
}

/** Only the pod's own containers reach its loopback: they alone know when their work is done. Linkerd's rule. */
function shutdown(
  method: string,
  remoteAddress: string | undefined,
  shutDown: AdminAnswers['shutDown'],
): AdminAnswer {
  if (shutDown === undefined) {
    return text(404, 'the annotation proxy-admin-shutdown of the pod does not enable this');
  }
  if (method !== 'POST') return text(405, 'only POST');
  if (remoteAddress === undefined || !isLoopback(remoteAddress)) {
    return text(403, 'only from inside the pod, by its loopback address');
  }
  return { ...text(200, 'shutting down'), afterwards: shutDown };
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');
LOOPBACK.addSubnet('::ffff:127.0.0.0', 104, 'ipv6');

function isLoopback(address: string): boolean {
  return LOOPBACK.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

function text(status: number, line: string): AdminAnswer {
  return { status, type: 'text/plain', body: `${line}\n` };
}

/** The part of an environment that may be shown. */
export function shownEnv(env: NodeJS.ProcessEnv): Record<string, string> {
  const shown: Record<string, string> = {};
  for (const name of Object.keys(env).sort()) {
    if (SHOWN.test(name)) shown[name] = SECRET.test(name) ? '(set)' : (env[name] ?? '');
  }
  return shown;
}
