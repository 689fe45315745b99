import { MAX_FIELDS } from '../message/head.ts';

/** How the message is framed and what it says about the connection: what is left of the fields that a codec does not pass on. */
export class Framing {
  chunked = false;
  /** HTTP/1.0: no chunked coding, no keep-alive unless asked for. */
  minorVersion = 1;
  isConnect = false;
  isHead = false;
  expect = false;
  hosts = 0;
  saidClose = false;
  saidKeepAlive = false;
  saidUpgrade = false;
  /** The client takes trailers, and says so. */
  saidTrailers = false;
  /** The Upgrade field: kept aside, since it only means something where Connection names it. */
  upgrades = 0;
  upgradeStart = 0;
  upgradeEnd = 0;
  /** Connection names of fields that end here, besides the fixed ones: where each begins and ends. */
  listed = 0;
  readonly listedStart = new Int32Array(MAX_FIELDS);
  readonly listedEnd = new Int32Array(MAX_FIELDS);
  /** Slot of the first known line in the head before; -1: it had none. What stays, for the next head is likely to begin as that one did. */
  firstKnown = -1;

  clear(): void {
    this.chunked = false;
    this.minorVersion = 1;
    this.isConnect = false;
    this.isHead = false;
    this.expect = false;
    this.hosts = 0;
    this.saidClose = false;
    this.saidKeepAlive = false;
    this.saidUpgrade = false;
    this.saidTrailers = false;
    this.upgrades = 0;
    this.listed = 0;
  }
}
