/** Runs each part that is a script once, while the image is made. Arguments: the image's entry point, the parts. */
import { rehearse } from './rehearse.ts';

/** Where an image is made nobody else listens. */
const HOST = '127.0.0.1';

const [entrypoint = '', ...parts] = process.argv.slice(2);
for (const part of parts) await rehearse(entrypoint, part, HOST);
