/** Asks for metrics once a second, as Prometheus does when it is set to that. Arguments: addresses of admin servers. */
import { get } from 'node:http';
import { port } from '../api/names.ts';

const EVERY_MS = 1_000;

for (const host of process.argv.slice(2)) {
  setInterval(() => {
    get({ host, port: port.admin, path: '/metrics' }, (answer) => answer.resume()).on('error', () => {});
  }, EVERY_MS);
}
