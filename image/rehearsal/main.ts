/** Runs each part that is a script once, while the image is made. Arguments: the image's entry point, the parts. */
import { freshAddress } from '../../test/testing/addresses.ts';
import { rehearse } from './rehearse.ts';

const [entrypoint = '', ...parts] = process.argv.slice(2);
// At an address of its own: another image may be in the making on this machine.
for (const part of parts) await rehearse(entrypoint, part, freshAddress());
