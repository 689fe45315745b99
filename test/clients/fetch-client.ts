/** Asks for the URL given as argument by `fetch`, with nothing but the environment to tell it of a proxy, and prints the body. */
const response = await fetch(process.argv[2] ?? '');
process.stdout.write(await response.text());
