import { spawn } from 'node:child_process';
import { basename } from 'node:path';
import { decodeBounded } from '../../common/bounded-decode.ts';
import { canceled, CodedError, codes, deadlineExceeded, unknownError } from '../../common/errdefs.ts';
import { Any } from '../../proto/gen/google/protobuf/any.ts';
import { BootstrapResult } from '../../proto/gen/containerd/runtime/bootstrap/v1/bootstrap.ts';
import { DeleteResponse } from '../../proto/gen/containerd/task/v2/task_v2.ts';
import type { TaskKey } from '../store/tables/tasks.ts';

/** Largest output of a shim's command that is read, bytes. */
const OUTPUT_BYTES_MAX = 1 << 20;
/** After a command has ended: how long something it left behind may hold its output open, ms. */
const OUTPUT_GRACE_MS = 500;
/** The newest Task API that we speak. */
const TASK_API_VERSION_MAX = 3;

/** How a shim is called by the public protocol. Source: containerd's runtime/v2 README, "Command Line". */
export interface ShimCommand {
  /** The binary, and what comes before the protocol's own arguments. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** The daemon's gRPC and ttrpc sockets. */
  readonly address: string;
  readonly ttrpcAddress: string;
  readonly debug: boolean;
}

export interface Started {
  /** `unix:///…` */
  readonly address: string;
  readonly version: number;
}

/** `start`: gives the address of a shim for this container, which may serve others already. No deadline but `signal`. */
export const startShim = async (
  call: ShimCommand,
  task: TaskKey & { readonly bundle: string; readonly options: Any | undefined },
  signal: AbortSignal,
): Promise<Started> => {
  const debug = call.debug ? ['-debug'] : [];
  const stdin = task.options === undefined ? new Uint8Array() : Any.encode(task.options).finish();
  const { output, error } = await run(call, { ...task, args: ['-id', task.id, ...debug, 'start'], stdin }, signal);
  if (error !== undefined) throw unknownError(`${output.toString('utf8')}: ${error}`);
  return parseStarted(output);
};

/** `delete`: ends and tidies up what a shim that is gone has left of a container. */
export const deleteByCommand = async (
  call: ShimCommand,
  task: TaskKey & { readonly bundle: string },
  timeoutMs: number,
): Promise<DeleteResponse> => {
  const args = ['-id', task.id, '-bundle', task.bundle, 'delete'];
  const signal = AbortSignal.timeout(timeoutMs);
  const { stdout, stderr, error } = await run(call, { ...task, args, stdin: undefined }, signal);
  if (error !== undefined) throw unknownError(`${stderr.toString('utf8')}: ${error}`);
  return DeleteResponse.decode(stdout);
};

/** `-info`: an encoded RuntimeInfo. */
export const infoByCommand = async (
  call: ShimCommand,
  options: Any | undefined,
  timeoutMs: number,
): Promise<Uint8Array> => {
  const stdin = options === undefined ? new Uint8Array() : Any.encode(options).finish();
  const where = { namespace: 'default', bundle: '/' };
  const { stdout, stderr, error } = await run(
    call,
    { ...where, args: ['-info'], stdin },
    AbortSignal.timeout(timeoutMs),
  );
  if (error !== undefined) throw unknownError(`${stderr.toString('utf8')}: ${error}`);
  return stdout;
};

/** A bare address, JSON, or since containerd 2.3 a BootstrapResult. Throws what is none of them. */
export const parseStarted = (output: Buffer): Started => {
  const text = output.toString('utf8').trim();
  if (text.startsWith('{')) return checked(parseJson(text));
  if (text === '') throw unknownError('shim said nothing, which is no address');
  if (/^(unix:\/\/)?\//.test(text)) return checked({ version: 2, address: text, protocol: 'ttrpc' });
  try {
    // What is no message at all may still look like one of fields that nobody knows.
    const { version, address, protocol } = decodeBounded(BootstrapResult, output, 'answer of a shim');
    if (address === '') throw new Error('no address in it');
    return checked({ version, address, protocol });
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw unknownError(`shim said ${JSON.stringify(text.slice(0, 200))}, which is no address`, { cause: error });
  }
};

const parseJson = (text: string): Parsed => {
  try {
    const { version, address, protocol }: Partial<Parsed> = JSON.parse(text);
    return { version: Number(version), address: String(address), protocol: String(protocol) };
  } catch (error) {
    throw unknownError(`shim said ${JSON.stringify(text.slice(0, 200))}, which is no JSON`, { cause: error });
  }
};

interface Parsed {
  readonly version: number;
  readonly address: string;
  readonly protocol: string;
}

const checked = ({ version, address, protocol }: Parsed): Started => {
  if (version !== 2 && version !== 3) throw unsupported(`unsupported shim version (${version})`);
  if (protocol !== 'ttrpc') throw unsupported(`unsupported shim protocol ${JSON.stringify(protocol)}`);
  const path = address.replace(/^unix:\/\//, '');
  if (!path.startsWith('/'))
    throw unknownError(`shim said ${JSON.stringify(address.slice(0, 200))}, which is no address`);
  return { version, address: `unix://${path}` };
};

const unsupported = (reason: string): CodedError => new CodedError(codes.unimplemented, `${reason}: not implemented`);

interface Run {
  readonly namespace: string;
  readonly bundle: string;
  readonly args: readonly string[];
  /** undefined: /dev/null. */
  readonly stdin: Uint8Array | undefined;
}

interface Ran {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** Both, in the order in which they came. */
  readonly output: Buffer;
  /** undefined: it ended well. */
  readonly error: string | undefined;
}

/** Runs a command of a shim in its bundle, in a process group of its own. */
const run = (call: ShimCommand, { namespace, bundle, args, stdin }: Run, signal: AbortSignal): Promise<Ran> => {
  const { promise, resolve, reject } = Promise.withResolvers<Ran>();
  const us = process.argv[1] ?? process.execPath;
  const common = ['-namespace', namespace, '-address', call.address, '-publish-binary', us];
  const child = spawn(call.command, [...call.args, ...common, ...args], {
    cwd: bundle,
    detached: true,
    env: { ...call.env, ...environment(call, namespace) },
    stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  const chunks: { readonly chunk: Buffer; readonly of: 'stdout' | 'stderr' }[] = [];
  let bytes = 0;
  const collect = (of: 'stdout' | 'stderr') => (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= OUTPUT_BYTES_MAX) chunks.push({ chunk, of });
  };
  const only = (of: 'stdout' | 'stderr'): Buffer =>
    Buffer.concat(chunks.filter((one) => one.of === of).map(({ chunk }) => chunk));
  child.stdout?.on('data', collect('stdout'));
  child.stderr?.on('data', collect('stderr'));
  child.stdin?.on('error', () => undefined).end(stdin); // one that does not read it is none the worse
  const onAbort = (): void => {
    killGroup(child.pid);
    reject(isTimeout(signal.reason) ? deadlineExceeded(basename(call.command)) : canceled(basename(call.command)));
  };
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  child.once('error', (error) => reject(unknownError(error.message, { cause: error })));
  const finish = (code: number | null, killedBy: string | null): void => {
    const error = code === 0 ? undefined : killedBy === null ? `exit status ${code}` : `signal: ${killedBy}`;
    resolve({
      stdout: only('stdout'),
      stderr: only('stderr'),
      output: Buffer.concat(chunks.map(({ chunk }) => chunk)),
      error,
    });
  };
  child.once('close', finish);
  // The shim that was started may hold our pipes for as long as it lives.
  child.once('exit', (code, killedBy) => setTimeout(() => finish(code, killedBy), OUTPUT_GRACE_MS).unref());
  return promise.finally(() => {
    signal.removeEventListener('abort', onAbort);
    child.stdout?.destroy();
    child.stderr?.destroy();
  });
};

const environment = ({ address, ttrpcAddress }: ShimCommand, namespace: string): NodeJS.ProcessEnv => ({
  GOMAXPROCS: '2',
  TTRPC_ADDRESS: ttrpcAddress,
  GRPC_ADDRESS: address,
  NAMESPACE: namespace,
  MAX_SHIM_VERSION: String(TASK_API_VERSION_MAX),
});

const isTimeout = (reason: unknown): boolean => reason instanceof Error && reason.name === 'TimeoutError';

const killGroup = (pid: number | undefined): void => {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // it is gone
  }
};
