import type { FuzzTarget } from '../target.ts';
import { detect } from './detect.ts';
import { hpack } from './hpack.ts';
import { http1Request } from './http1-request.ts';
import { http1Response } from './http1-response.ts';
import { http2Client } from './http2-client.ts';
import { http2Server } from './http2-server.ts';
import { transportHeader } from './transport-header.ts';

/** Everything that reads bytes of strangers. */
export const targets: readonly FuzzTarget[] = [
  http1Request,
  http1Response,
  hpack,
  http2Server,
  http2Client,
  transportHeader,
  detect,
];
