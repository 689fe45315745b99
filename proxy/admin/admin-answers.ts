import { BlockList, isIPv6 } from 'node:net';
import { parseLogLevel } from '../../api/log-level.ts';
import type { LowestLevel } from '../../log/index.ts';
import { exposition, EXPOSITION_TYPE } from '../telemetry/exposition.ts';
import type { Registry } from '../telemetry/registry.ts';

/** What the admin server's answers are made of. */
export interface AdminAnswers {
  registry: Registry;
  /** Why requests cannot be served now; undefined: they can. */
  unready: () => string | undefined;
  /** Shown by `/env.json`. */
  env: NodeJS.ProcessEnv;
  /** Ends the process in order, on `POST /shutdown`. Absent: nobody may ask for that. */
  shutDown?: () => void;
  /** Shown and changed at `/proxy-log-level`. Absent: nobody may. */
  logLevel?: LowestLevel;
}

/** What is asked. */
export interface AdminRequest {
  readonly method: string;
  /** Without a query. */
  readonly path: string;
  /** Empty but of a PUT. */
  readonly body: string;
}

/** What a request is answered with. */
export interface AdminAnswer {
  readonly status: number;
  readonly type: string;
  /** The methods that there are, where the one that was used is none of them. */
  readonly allow?: string;
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
  request: AdminRequest,
  remoteAddress: string | undefined,
  answers: AdminAnswers,
): AdminAnswer {
  const { method, path } = request;
  if (path === '/shutdown') return shutdown(method, remoteAddress, answers.shutDown);
  if (path === '/proxy-log-level') return logLevel(request, remoteAddress, answers.logLevel);
  if (method !== 'GET' && method !== 'HEAD') return not('GET, HEAD');
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
      return text(404, 'there are /live, /ready, /metrics, /env.json, /proxy-log-level and /shutdown');
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
  if (method !== 'POST') return not('POST');
  if (!isInside(remoteAddress)) return OUTSIDE;
  return { ...text(200, 'shutting down'), afterwards: shutDown };
}

/** As Linkerd's: GET tells the level, PUT takes another, by the forms that the annotation takes; until the process ends. */
function logLevel(
  { method, body }: AdminRequest,
  remoteAddress: string | undefined,
  level: LowestLevel | undefined,
): AdminAnswer {
  if (level === undefined) return text(404, 'the level of this log cannot be changed');
  if (!isInside(remoteAddress)) return OUTSIDE;
  if (method === 'GET' || method === 'HEAD') return text(200, level.name);
  if (method !== 'PUT') return not('GET, HEAD, PUT');
  const wanted = parseLogLevel(body.trim());
  if (wanted === undefined) {
    return text(
      400,
      'the body must be one of error, warn, info, debug, trace, or a filter such as warn,linkerd=debug',
    );
  }
  level.set(wanted);
  return { status: 204, type: 'text/plain', body: '' };
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');
LOOPBACK.addSubnet('::ffff:127.0.0.0', 104, 'ipv6');

/** Whether it is a loopback address: of the pod's own containers. */
export function isInside(address: string | undefined): boolean {
  return address !== undefined && LOOPBACK.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** RFC 9110 section 15.5.6: who refuses a method names those that there are. */
function not(allow: string): AdminAnswer {
  return { ...text(405, `only ${allow}`), allow };
}

const OUTSIDE = text(403, 'only from inside the pod, by its loopback address');

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
