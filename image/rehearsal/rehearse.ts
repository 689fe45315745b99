import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { create } from '@bufbuild/protobuf';
import type { Server, ServerWritableStream } from '@grpc/grpc-js';
import { env as variable } from '../../api/names.ts';
import {
  type ExportedServices,
  ExportedServicesSchema,
  Exports,
  type WatchExports,
} from '../../api/proto/gen/isthmus/control_pb.js';
import { definition, FakeControlPlane } from '../../workload-identity/testing/fake-control-plane.ts';
import { makeAnchor, makeIssuer, workload } from '../../workload-identity/testing/test-ca.ts';
import { compile, compiledFile } from '../script.ts';

/** What a part logs when it has run all that a start needs: it has answered requests, its own. */
const DONE = 'warmed up';
/** ms for one part. It takes some seconds, on a busy machine more. */
const GIVE_UP_MS = 60_000;

/**
 * Runs a bundled part once, with a control plane of the test kind, until it has done what every start does, so that
 * what V8 compiles meanwhile is there at the next start. It is run with the flags of this process.
 * @param ip an address of this machine at which the part's ports are free Rejects when the part does not get that far,
 * or the next start would not take what is kept.
 */
export async function rehearse(entrypoint: string, part: string, ip: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-rehearsal-'));
  const who = workload('rehearsal');
  const anchor = await makeAnchor();
  const controlPlane = new FakeControlPlane(await makeIssuer(anchor, who.clusterId), who);
  try {
    await controlPlane.start([anchor], who.clusterId, exportOne);
    const anchorsFile = join(folder, 'ca-bundle.crt');
    const tokenFile = join(folder, 'token');
    writeFileSync(anchorsFile, anchor.pem);
    writeFileSync(tokenFile, 'token');
    const child = spawn(process.execPath, [...process.execArgv, entrypoint, part], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        [variable.keepCompiled]: '1',
        POD_NAME: who.serviceAccount,
        POD_NAMESPACE: who.namespace,
        POD_IP: ip,
        SERVICE_ACCOUNT: who.serviceAccount,
        [variable.clusterName]: who.clusterId,
        [variable.identityAddress]: controlPlane.address,
        [variable.destinationAddress]: controlPlane.address,
        [variable.policyAddress]: controlPlane.address,
        [variable.trustAnchorsFile]: anchorsFile,
        [variable.identityTokenFile]: tokenFile,
      },
    });
    await played(child, part);
  } finally {
    await controlPlane.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  const file = join(dirname(entrypoint), `${part}.cjs`);
  if (compile(file).cachedDataRejected === false) return;
  throw new Error(
    `V8 does not take what it has compiled of ${part} (${compiledFile(file)}): it is not there, or the part has changed V8's flags while it ran`,
  );
}

/** A gateway waits to be told what it may serve. */
function exportOne(grpc: Server): void {
  const services = [{ namespace: 'shop', name: 'web', ports: [80] }];
  grpc.addService(
    { watch: definition<WatchExports, ExportedServices>(Exports.method.watch) },
    {
      watch: (call: ServerWritableStream<WatchExports, ExportedServices>) =>
        void call.write(create(ExportedServicesSchema, { services })),
    },
  );
}

/** Ends the part in order when it has done all, or when it takes too long. */
async function played(child: ChildProcess, part: string): Promise<void> {
  const ended = once(child, 'exit');
  const timer = setTimeout(() => child.kill('SIGKILL'), GIVE_UP_MS);
  let last = 'it said nothing';
  if (child.stdout === null) throw new Error(`${part} has no output to read`);
  for await (const line of createInterface(child.stdout)) {
    last = line;
    if (messageOf(line) === DONE) child.kill('SIGTERM');
  }
  const [code] = (await ended) as [number | null];
  clearTimeout(timer);
  if (code !== 0)
    throw new Error(`${part} ended with ${code} before it had done all; its last line: ${last}`);
}

function messageOf(line: string): string {
  return (JSON.parse(line) as { msg: string }).msg;
}
