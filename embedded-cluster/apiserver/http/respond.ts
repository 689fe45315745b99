import type { ServerResponse } from 'node:http';

export function sendJson(
  response: ServerResponse,
  code: number,
  body: object,
  contentType = 'application/json',
): void {
  const text = Buffer.from(JSON.stringify(body));
  response.writeHead(code, {
    'Content-Type': contentType,
    'Content-Length': text.length,
    'Cache-Control': 'no-cache, private',
  });
  response.end(text);
}

export function sendText(response: ServerResponse, code: number, text: string): void {
  response.writeHead(code, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

/** What kube-apiserver's router answers for a path that it does not know; clients make of it what they say themselves. */
export function sendNotFound(response: ServerResponse): void {
  sendText(response, 404, '404 page not found\n');
}
