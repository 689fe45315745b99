/** gRPC of grpc-js whose messages are bytes: no descriptors, no generated code. */
import { type Server, ServerCredentials } from '@grpc/grpc-js';

const same = (bytes: Buffer): Buffer => bytes;

/** What a method's definition says of its messages. */
export const BYTES = {
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
};

/** Answers the port. 0: any that is free. */
export function listenInPlaintext(server: Server, host: string, port = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
}
