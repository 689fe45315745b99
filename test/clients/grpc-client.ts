/** Calls `/test.Echo/Say` at the address given as argument by grpc-js, with nothing but the environment to tell it of a proxy, and prints the answer. */
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { BYTES } from '../testing/grpc-bytes.ts';

const client = new Client(process.argv[2] ?? '', credentials.createInsecure());
client.makeUnaryRequest(
  '/test.Echo/Say',
  BYTES.requestSerialize,
  BYTES.responseDeserialize,
  Buffer.from('hello'),
  (error: ServiceError | null, answer?: Buffer) => {
    process.stdout.write(error === null ? (answer?.toString() ?? '') : error.message);
    client.close();
  },
);
