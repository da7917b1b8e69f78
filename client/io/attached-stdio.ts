import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { invalidArgument } from '../../common/errdefs.ts';
import type { Process, WaitOptions } from '../process.ts';
import type { Exit } from '../process-status.ts';
import { repeatWhileAway } from '../while-away.ts';
import { FifoDirectory, type FifoOptions } from './fifo-directory.ts';
import { readFifo, writeFifo } from './fifo-ends.ts';
import { FollowedFile } from './followed-file.ts';
import { type Output, Pump } from './pump.ts';
import { filePath, type StdioPaths } from './stdio.ts';

/** What a process's stdio is connected to; none of them is closed. */
export interface LocalStreams {
  /** Read until its end or the process's. Absent: the process's stdin is /dev/null, or left to others. */
  readonly stdin?: Readable;
  readonly stdout: Writable;
  /** Not used with a terminal. */
  readonly stderr: Writable;
}

/**
 * Connects a process with local streams, through FIFOs:
 *
 *     await using stdio = await AttachedStdio.open({ id: 'web', terminal: false }, { stdout, stderr });
 *     const task = await container.createTask(stdio.paths);
 *     await task.start();
 *     const exit = await stdio.carry(task);
 */
export class AttachedStdio implements AsyncDisposable {
  /** For Create or Exec. */
  readonly paths: StdioPaths;
  readonly #streams: LocalStreams;
  readonly #outputs: readonly Output[];
  /** Undefined: somebody else's. */
  #fifos: FifoDirectory | undefined;

  private constructor(paths: StdioPaths, streams: LocalStreams) {
    this.paths = paths;
    this.#streams = streams;
    this.#outputs = outputsOf(paths, streams);
  }

  /**
   * Makes the FIFOs and opens them: the shim finds a reader when it opens them. Nothing is read before `carry`, so what
   * a runtime writes there when it refuses is dropped: the error of the call says it too.
   */
  static async open(options: Omit<FifoOptions, 'stdin'>, streams: LocalStreams): Promise<AttachedStdio> {
    using undo = new DisposableStack();
    const fifos = undo.use(await FifoDirectory.make({ ...options, stdin: streams.stdin !== undefined }));
    const stdio = new AttachedStdio(fifos.paths, streams);
    stdio.#fifos = fifos;
    undo.move();
    return stdio;
  }

  /**
   * Connects with a process that runs already, by what its status says of its stdio: FIFOs on this machine, whose
   * other reader must have gone (two readers would each get a part), or a file, of which what comes from now on is
   * carried. Throws invalidArgument when its output goes nowhere or to a logger.
   */
  static reopen(paths: StdioPaths, streams: LocalStreams): AttachedStdio {
    const { stdin, ...outputs } = streams;
    return new AttachedStdio(paths, paths.stdin === '' || stdin === undefined ? outputs : streams);
  }

  /** Leaves the FIFOs to whoever connects next. */
  keep(): void {
    this.#fifos = undefined;
  }

  /**
   * Carries stdin to a started process and its output back, until the process has ended and all its output was
   * written. Rejects with the error of a local output (EPIPE: its reader has gone); the process goes on then.
   */
  async carry(process: Process, options: WaitOptions = {}, signal?: AbortSignal): Promise<Exit> {
    const finished = new AbortController();
    const either = signal === undefined ? finished.signal : AbortSignal.any([signal, finished.signal]);
    const input =
      this.#streams.stdin === undefined ? undefined : feed(this.#streams.stdin, this.paths.stdin, process, either);
    input?.catch(() => undefined); // it ends with the process, whatever it was about
    for (const output of this.#outputs) output.begin();
    const output = Promise.all(this.#outputs.map(({ done }) => done));
    try {
      const exit = process.wait(options, either);
      exit.catch(() => undefined);
      // The output ends first only if it fails or if the process has closed it.
      await Promise.race([exit, output.then(() => exit)]);
      for (const one of this.#outputs) one.ended();
      await output;
      return await exit;
    } finally {
      finished.abort();
      await input?.catch(() => undefined);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const output of this.#outputs) output.stop();
    this.#fifos?.[Symbol.dispose]();
  }
}

/** Both outputs may go to one file, which is carried once. */
const outputsOf = ({ stdout, stderr, terminal }: StdioPaths, streams: LocalStreams): Output[] => {
  const outputs = stdout === '' ? [] : [outputOf(stdout, streams.stdout, terminal)];
  if (!terminal && stderr !== '' && stderr !== stdout) outputs.push(outputOf(stderr, streams.stderr, terminal));
  return outputs;
};

const outputOf = (uri: string, to: Writable, terminal: boolean): Output => {
  if (uri.startsWith('/')) return new Pump(readFifo(uri), to);
  const file = filePath(uri);
  if (file === undefined) throw invalidArgument(`the output goes to ${uri}, where nobody can read it`);
  return new FollowedFile(file, to, { copied: terminal });
};

/** Carries `from` into the FIFO until either ends; the process then sees the end of its input. */
const feed = async (from: Readable, path: string, process: Process, signal: AbortSignal): Promise<void> => {
  const to = await writeFifo(path, signal);
  try {
    await copy(from, to, signal);
  } finally {
    to.destroy();
  }
  signal.throwIfAborted(); // who only leaves is no end of the input
  // The shim keeps the FIFO open so that a client may go and another may come; so it must be told.
  await repeatWhileAway(() => process.closeStdin(signal), undefined, signal);
};

const copy = async (from: Readable, to: Socket, signal: AbortSignal): Promise<void> => {
  const end = (): void => void to.end();
  const drop = (): void => void to.destroy();
  to.on('error', () => undefined); // EPIPE: the process has closed its input; 'close' follows
  from.once('end', end).once('close', end).once('error', end); // a terminal that hangs up fails with EIO
  signal.addEventListener('abort', drop, { once: true });
  from.pipe(to, { end: false });
  if (from.readableEnded || from.destroyed) end();
  await once(to, 'close').catch(() => undefined);
  signal.removeEventListener('abort', drop);
  from.unpipe(to);
  from.pause();
  from.off('end', end).off('close', end).off('error', end);
};
