import type { Case } from './case.ts';
import { CONNECTION_CASES } from './connection-cases.ts';
import { FRAME_CASES } from './frame-cases.ts';
import { HPACK_CASES } from './hpack-cases.ts';
import { MESSAGE_CASES } from './message-cases.ts';

/** RFC 9113 and RFC 7541 by section, from the client's side of the wire. */
export const CASES: readonly Case[] = [...CONNECTION_CASES, ...FRAME_CASES, ...MESSAGE_CASES, ...HPACK_CASES];
