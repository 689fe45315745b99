import type { Theme } from '../scenario.ts';
import { access } from './access.ts';
import { applying } from './applying.ts';
import { customResources } from './custom-resources.ts';
import { deleting } from './deleting.ts';
import { discovery } from './discovery.ts';
import { disruption } from './disruption.ts';
import { namespaces } from './namespaces.ts';
import { patching } from './patching.ts';
import { reading } from './reading.ts';
import { restart } from './restart.ts';
import { singleKinds } from './single-kinds.ts';
import { subresources } from './subresources.ts';
import { tokens } from './tokens.ts';
import { watching } from './watching.ts';
import { webhooks } from './webhooks.ts';
import { writing } from './writing.ts';

/** `restart` is the last: it takes the server away from under whatever else runs. */
export const themes: readonly Theme[] = [
  reading,
  watching,
  writing,
  singleKinds,
  patching,
  applying,
  deleting,
  subresources,
  disruption,
  customResources,
  discovery,
  namespaces,
  tokens,
  access,
  webhooks,
  restart,
];
