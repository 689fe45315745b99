/**
 * Asks for one thing by many names, so that a sidecar has series of each: by all of them first, then, each second, by a
 * tenth of them. Argument: a `SeriesLoad` as JSON. Ends when its parent does.
 */
import { request } from 'node:http';

export interface SeriesLoad {
  host: string;
  port: number;
  authorities: readonly string[];
  path: string;
}

const EVERY_MS = 1_000;
const SHARE = 0.1;

const { host, port, authorities, path } = JSON.parse(process.argv[2] ?? '') as SeriesLoad;
for (const authority of authorities) await ask(authority);
process.send?.({ kind: 'all asked' });
let at = 0;
setInterval(() => void askSome(), EVERY_MS);
process.on('disconnect', () => process.exit(0));

async function askSome(): Promise<void> {
  for (let n = 0; n < authorities.length * SHARE; n++) {
    const authority = authorities[at++ % authorities.length];
    if (authority !== undefined) await ask(authority);
  }
}

function ask(authority: string): Promise<void> {
  return new Promise((resolve) => {
    const asked = request({ host, port, path: `http://${authority}${path}` }, (answer) => {
      answer.resume();
      answer.once('end', resolve);
    });
    asked.once('error', () => resolve());
    asked.end();
  });
}
