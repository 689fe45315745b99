/** Calls `/test.Echo/Say` at the address given as argument by grpc-js, with nothing but the environment to tell it of a proxy, and prints the answer. */
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';

const client = new Client(process.argv[2] ?? '', credentials.createInsecure());
const bytes = (buffer: Buffer): Buffer => buffer;
client.makeUnaryRequest(
  '/test.Echo/Say',
  bytes,
  bytes,
  Buffer.from('hello'),
  (error: ServiceError | null, answer?: Buffer) => {
    process.stdout.write(error === null ? (answer?.toString() ?? '') : error.message);
    client.close();
  },
);
