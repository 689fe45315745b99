import { Agent } from 'node:http';
import { ask, causeOf } from '../../proxy/testing/mesh/http.ts';
import type { TestPod } from '../../proxy/testing/mesh/test-mesh.ts';

/** Requests at once. */
const WORKERS = 16;

/**
 * Sends n requests to `web-west.shop`, over connections that are kept, whose app answers with the path.
 * @param each is called before each
 * @returns what became of those that were not answered by the app
 */
export async function load(
  n: number,
  from: TestPod,
  each: (i: number) => void = () => {},
): Promise<string[]> {
  const agent = new Agent({ keepAlive: true });
  const failures: string[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < n) {
      const i = next++;
      each(i);
      const answer = await ask(from.ip, `http://web-west.shop/${i}`, { agent });
      if (answer.body.toString() === `/${i}`) continue;
      failures.push(`${i}: ${answer.status} ${causeOf(answer) ?? ''}`);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
  agent.destroy();
  return failures;
}
