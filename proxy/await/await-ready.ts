import { get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

/** ms between tries: an app's start waits for it. */
const RETRY_MS = 100;
/** ms for one answer, of a process on the same machine. */
const ANSWER_MS = 1_000;

/**
 * Resolves once the sidecar's admin server says that it is ready. Rejects when it has not within `timeoutMs`, with what it said last.
 * @param url of `/ready`
 */
export async function awaitReady(url: string, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const unready = await whyUnready(url);
    if (unready === undefined) return;
    if (performance.now() + RETRY_MS > deadline) {
      throw new Error(`the sidecar is not ready after ${timeoutMs / 1_000} s: ${unready}`);
    }
    await delay(RETRY_MS);
  }
}

/** Never rejects. */
function whyUnready(url: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const request = get(url, { timeout: ANSWER_MS, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('error', (error) => resolve(error.message));
      response.on('end', () => resolve(response.statusCode === 200 ? undefined : body.trim()));
    });
    request.on('timeout', () => request.destroy(new Error('it does not answer')));
    request.on('error', (error) => resolve(error.message));
  });
}
