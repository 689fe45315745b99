/** Asks for the URL given as argument by `node:http`, with nothing but the environment to tell it of a proxy, and prints the body. */
import { get } from 'node:http';

get(process.argv[2] ?? '', (response) => {
  response.pipe(process.stdout);
}).on('error', (error) => {
  process.stdout.write(error.message);
});
