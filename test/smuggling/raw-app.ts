import type { Wire } from '../../proxy/testing/mesh/wire.ts';
import { isMessage, readRequest, type ReferenceMessage } from '../testing/http1-reference.ts';

/** What an app behind the proxies has read, by a parser of its own. */
export class RawApp {
  readonly requests: ReferenceMessage[] = [];
  /** Bytes that are no request, and what came behind the last one. */
  readonly garbage: string[] = [];

  /** Serves a connection: every request is answered with its path; `/up` leaves HTTP. */
  async serve({ socket }: Pick<Wire, 'socket'>): Promise<void> {
    let text = '';
    let isTunnel = false;
    for await (const chunk of socket) {
      text += (chunk as Buffer).toString('latin1');
      while (!isTunnel) {
        const read = readRequest(text);
        if (!isMessage(read)) {
          if (read !== 'incomplete') this.garbage.push(`${read.malformed} in ${JSON.stringify(text)}`);
          break;
        }
        this.requests.push(read);
        text = read.rest;
        isTunnel = read.startLine.startsWith('GET /up ');
        socket.write(isTunnel ? SWITCH : answerTo(read));
      }
      if (isTunnel && text !== '') socket.end(`tunnel ${text}`);
    }
    if (text !== '' && !isTunnel) this.garbage.push(`left over: ${JSON.stringify(text)}`);
  }

  /** What has come since the last call. */
  take(): { requests: ReferenceMessage[]; garbage: string[] } {
    return { requests: this.requests.splice(0), garbage: this.garbage.splice(0) };
  }
}

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';

function answerTo({ startLine }: ReferenceMessage): string {
  const [method = '', path = ''] = startLine.split(' ');
  const body = method === 'HEAD' ? '' : `answer to ${path}`;
  return `HTTP/1.1 200 OK\r\ncontent-length: ${`answer to ${path}`.length}\r\n\r\n${body}`;
}
