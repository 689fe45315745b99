import type { MessageInitShape } from '@bufbuild/protobuf';

import type { NetworkSpec } from '../../api/policy-types.ts';
import type { NetworkSchema } from '../../api/proto/gen/linkerd/inbound_pb.js';
import { ipNetwork } from '../ip-address.ts';
import { quoted, type TellProblem } from './problems.ts';

export type NetworkInit = MessageInitShape<typeof NetworkSchema>;

export const EVERYWHERE: readonly string[] = ['0.0.0.0/0', '::/0'];

/** Networks as the proxy API has them. Throws for what is no CIDR. */
export function networksOf(cidrs: readonly string[]): NetworkInit[] {
  return cidrs.map((cidr) => ({ net: ipNetwork(cidr) }));
}

/** Networks that an object names. One of which a part can't be read is left out: an exception that is not understood must not let anybody in. */
export function readNetworks(specs: readonly NetworkSpec[], tell: TellProblem): NetworkInit[] {
  return specs.flatMap(({ cidr, except = [] }) => {
    try {
      return [{ net: readNetwork(cidr), except: except.map(readNetwork) }];
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      tell(`the network ${quoted(cidr)} is left out: ${error.message}`);
      return [];
    }
  });
}

/** A single address counts as a network of its own, as with Linkerd. */
function readNetwork(text: string | undefined) {
  const cidr = text ?? '';
  if (cidr.includes('/')) return ipNetwork(cidr);
  return ipNetwork(cidr.includes(':') ? `${cidr}/128` : `${cidr}/32`);
}
