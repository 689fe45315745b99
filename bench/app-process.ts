import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, listening, message, type Processes } from './processes.ts';

/** Sizes of answers that the app knows, as the last part of the path. */
const SIZES = [100, 10_240, 1_048_576] as const;
const PORT = 8_080;

/** Starts the app behind the proxies: nginx where it is installed, since it costs least beside what is measured; else `app.ts`. @returns its port */
export async function startApp(processes: Processes, folder: string, host: string): Promise<number> {
  const nginx = findProgram('nginx');
  if (nginx === undefined) {
    const app = processes.startNode('load', 'app.ts', [host]);
    return (await message<{ kind: string; port: number }>(app, 'listening')).port;
  }
  const own = join(folder, 'app');
  mkdirSync(own);
  for (const size of SIZES) writeFileSync(join(own, String(size)), 'x'.repeat(size));
  const file = join(own, 'nginx.conf');
  writeFileSync(file, nginxConfig(own, host));
  processes.start('load', nginx, ['-c', file, '-p', own, '-e', join(own, 'error.log')]);
  await listening(host, PORT);
  return PORT;
}

function nginxConfig(folder: string, host: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off; master_process off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 4096; multi_accept on; }
http {
  access_log off; keepalive_timeout 3600s; keepalive_requests 1000000000; tcp_nodelay on; sendfile on; open_file_cache max=100;
  default_type text/plain; etag off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  server { listen ${host}:${PORT} backlog=4096; root ${folder}; }
}
`;
}
