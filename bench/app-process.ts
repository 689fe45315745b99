import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freshAddress } from '../test/testing/addresses.ts';
import type { App } from './chain.ts';
import { findProgram, listening, message, type Processes } from './processes.ts';

/** Sizes of answers that the app knows, as the last part of the path. */
const SIZES = [100, 10_240, 1_048_576] as const;
const PORT = 8_080;
const HTTP2_PORT = 8_082;
/** More than any run has chains. */
const HOSTS = 64;

/** Starts the app behind the proxies: nginx where it is installed, since it costs least beside what is measured; else `app.ts`. */
export async function startApp(processes: Processes, folder: string): Promise<App> {
  const hosts = Array.from({ length: HOSTS }, freshAddress);
  let taken = 0;
  const takeHost = (): string => {
    const host = hosts[taken++];
    if (host === undefined) throw new Error(`the app has ${HOSTS} addresses, and one more is asked for`);
    return host;
  };
  const nginx = findProgram('nginx');
  if (nginx === undefined) {
    const app = processes.startNode('load', join(import.meta.dirname, 'app.ts'), [String(PORT), ...hosts]);
    await message(app, 'listening');
    return { takeHost, port: PORT, http2Port: undefined };
  }
  const own = join(folder, 'app');
  mkdirSync(own);
  for (const size of SIZES) writeFileSync(join(own, String(size)), 'x'.repeat(size));
  const file = join(own, 'nginx.conf');
  writeFileSync(file, nginxConfig(own, hosts));
  processes.start('load', nginx, ['-c', file, '-p', own, '-e', join(own, 'error.log')]);
  await listening(hosts[0] ?? '', HTTP2_PORT);
  return { takeHost, port: PORT, http2Port: HTTP2_PORT };
}

function nginxConfig(folder: string, hosts: readonly string[]): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const listens = hosts.map(
    (host) => `listen ${host}:${PORT} backlog=4096; listen ${host}:${HTTP2_PORT} http2 backlog=4096;`,
  );
  return `daemon off; master_process off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 8192; multi_accept on; }
http {
  access_log off; keepalive_timeout 3600s; keepalive_requests 1000000000; tcp_nodelay on; sendfile on; tcp_nopush on; open_file_cache max=100;
  default_type text/plain; etag off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  server { ${listens.join('\n    ')}
    root ${folder}; }
}
`;
}
