import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { resolve } from 'node:path';
import type { Duplex } from 'node:stream';
import { replaceFile } from '../common/atomic-file.ts';
import {
  type BindReply,
  type BindRequest,
  type BootstrapFile,
  groupOf,
  NOFILE_SOFT_VARIABLE,
  SHIM_ENVIRONMENT_KEYS,
  shimHash,
  type ShimIdentity,
  shimPaths,
} from '../common/bootstrap.ts';
import { CodedError, codes, invalidArgument, unavailable } from '../common/errdefs.ts';
import { requireNamespace } from '../common/namespace.ts';
import { BootstrapParams, BootstrapResult, LogLevel } from '../proto/gen/containerd/runtime/bootstrap/v1/bootstrap.ts';
import { Any } from '../proto/gen/google/protobuf/any.ts';
import { stateOf } from './bundle.ts';
import type { Flags } from './flags.ts';
import { originalOpenFilesLimit } from './limits.ts';
import { runcOptions } from './options.ts';
import { readSpec } from './spec.ts';

/** The Task API that we speak, and the first value of MAX_SHIM_VERSION that allows to say so in JSON. */
const TASK_API_VERSION = 3;
/** How long a shim that is said to be alive may take to accept a connection, ms. */
const CONNECT_MS = 1_000;

/**
 * The `start` command: gives the address of the shim that serves this container's group, and starts it if there is
 * none. The working directory is the bundle. Whatever is returned is to be written to standard output as it is.
 */
export const start = async (flags: Flags, stdin: Uint8Array): Promise<string | Uint8Array> => {
  const asked = parameters(flags, stdin);
  const bundle = resolve(flags.bundle || '.');
  const identity: ShimIdentity = {
    namespace: requireNamespace(asked.namespace),
    id: asked.id,
    group: groupOf(asked.id, readSpec(bundle).annotations),
    state: stateOf(bundle),
    address: asked.address,
    ttrpcAddress: asked.ttrpcAddress,
    debug: asked.debug,
    stdio: 'fifo',
  };
  const address = await running(identity, { shimCgroup: asked.shimCgroup, oomScoreAdj: parentOomScore() + 1 });
  // Where a daemon looks for it after a restart of its own.
  replaceFile(resolve(bundle, 'address'), address, { mode: 0o644 });
  if (asked.bootstrap)
    return BootstrapResult.encode(
      BootstrapResult.create({ version: TASK_API_VERSION, address, protocol: 'ttrpc' }),
    ).finish();
  const bootstrap: BootstrapFile = { version: TASK_API_VERSION, address, protocol: 'ttrpc' };
  return Number(process.env['MAX_SHIM_VERSION'] ?? 0) >= TASK_API_VERSION ? JSON.stringify(bootstrap) : address;
};

interface Parameters {
  readonly id: string;
  readonly namespace: string;
  readonly address: string;
  readonly ttrpcAddress: string;
  readonly shimCgroup: string;
  readonly debug: boolean;
  /** The caller speaks the bootstrap protocol of containerd 2.3. */
  readonly bootstrap: boolean;
}

/**
 * Flags, environment and standard input. The latter is empty, an Any with the runtime's options, or since containerd
 * 2.3 BootstrapParams; both start with a string, which in BootstrapParams is the container's id.
 */
const parameters = (flags: Flags, stdin: Uint8Array): Parameters => {
  const address = flags.address || process.env['GRPC_ADDRESS'] || '';
  const fromFlags = {
    id: flags.id,
    namespace: flags.namespace || (process.env['NAMESPACE'] ?? ''),
    address,
    ttrpcAddress: process.env['TTRPC_ADDRESS'] || `${address}.ttrpc`,
    debug: flags.debug,
  };
  const params = bootstrapParams(stdin, flags.id);
  if (params === undefined) {
    if (flags.id === '') throw invalidArgument('flag -id is required');
    const any = stdin.length === 0 ? undefined : Any.decode(stdin);
    return { ...fromFlags, shimCgroup: runcOptions(any).shimCgroup, bootstrap: false };
  }
  const options = params.extensions.find(({ value }) => value?.typeUrl.endsWith('containerd.runc.v1.Options') === true);
  return {
    id: params.instanceId,
    namespace: params.namespace || fromFlags.namespace,
    address: params.containerdGrpcAddress || address,
    ttrpcAddress: params.containerdTtrpcAddress || fromFlags.ttrpcAddress,
    debug: flags.debug || params.logLevel === LogLevel.LOG_LEVEL_DEBUG || params.logLevel === LogLevel.LOG_LEVEL_TRACE,
    shimCgroup: runcOptions(options?.value).shimCgroup,
    bootstrap: true,
  };
};

const bootstrapParams = (stdin: Uint8Array, id: string): BootstrapParams | undefined => {
  if (stdin.length === 0) return undefined;
  try {
    const params = BootstrapParams.decode(stdin);
    return params.instanceId !== '' && (id === '' || params.instanceId === id) ? params : undefined;
  } catch {
    return undefined; // not a message of that type
  }
};

/** The address of the group's shim. Of several that start at once, one binds; the others find it alive. */
const running = async (
  identity: ShimIdentity,
  request: Omit<BindRequest, 'identity' | 'descriptors'>,
): Promise<string> => {
  const { socket } = shimPaths(identity.state, shimHash(identity));
  if (await accepts(socket)) return `unix://${socket}`;
  const reply = await spawnServer({ identity, descriptors: [], ...request });
  if ('address' in reply) return reply.address;
  if (reply.code === codes.alreadyExists && (await accepts(socket))) return `unix://${socket}`;
  throw new CodedError(codes.unknown, reply.error);
};

const accepts = (path: string): Promise<boolean> => {
  const { promise, resolve: answer } = Promise.withResolvers<boolean>();
  const socket = net.connect({ path });
  socket.setTimeout(CONNECT_MS, () => socket.destroy());
  socket.once('connect', () => answer(true));
  socket.once('error', () => answer(false));
  socket.once('close', () => answer(false));
  return promise.finally(() => socket.destroy());
};

/** A spare shim that is bound at once: in a session of its own, with nothing of ours but the control socket. */
const spawnServer = async (request: BindRequest): Promise<BindReply> => {
  const limit = String(originalOpenFilesLimit() ?? '');
  const env: NodeJS.ProcessEnv = { [NOFILE_SOFT_VARIABLE]: limit, MALLOC_ARENA_MAX: '1' };
  for (const key of SHIM_ENVIRONMENT_KEYS) if (process.env[key] !== undefined) env[key] = process.env[key];
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1] ?? '', 'spare'], {
    cwd: '/', // not the bundle: it must be removable
    detached: true,
    env,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const control = child.stdio[3] as Duplex; // a pipe beyond the first three is a socket both ways
  child.unref();
  const { promise, resolve: answer, reject } = Promise.withResolvers<BindReply>();
  let text = '';
  control.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
  control.on('error', () => undefined); // 'close' follows
  control.on('close', () => {
    const [, reply = ''] = text.split('\n'); // the first line is its hello
    if (reply === '') reject(unavailable('the shim ended before it served'));
    else answer(JSON.parse(reply));
  });
  child.on('error', reject);
  control.write(`${JSON.stringify(request)}\n`);
  return promise;
};

/** The daemon's own score: the shim's is to be the next one, so that the daemon goes last. */
const parentOomScore = (): number => {
  try {
    return Math.min(999, Number(readFileSync(`/proc/${process.ppid}/oom_score_adj`, 'utf8')));
  } catch {
    return 0;
  }
};
