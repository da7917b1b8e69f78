import type { Readable } from 'node:stream';
import { ReadStream, WriteStream } from 'node:tty';
import { AttachedStdio } from '../client/io/attached-stdio.ts';
import { DetachKeys } from '../client/io/detach-keys.ts';
import { forwardSignals } from '../client/io/signals.ts';
import type { StdioPaths } from '../client/io/stdio.ts';
import { followTerminalSize, rawTerminal } from '../client/io/terminal.ts';
import type { Process } from '../client/process.ts';
import type { Exit } from '../client/process-status.ts';
import { repeatWhileAway } from '../client/while-away.ts';
import { codeOf, codes } from '../common/errdefs.ts';
import { Failure } from './failure.ts';

/** So many SIGINT or SIGTERM mean that we are to end, whatever the process makes of them. Source: Docker. */
const FAREWELLS = 3;

export interface AttachedOptions {
  /** Of the container or exec. */
  readonly id: string;
  readonly interactive: boolean;
  readonly terminal: boolean;
  /** Typed on a terminal, they leave the process to itself. Empty or absent: nothing does. */
  readonly detachKeys?: Buffer;
}

/** How it ended, or that it was left to itself by the keys for that. */
export type Outcome = Exit | 'detached';

/**
 * Runs a process with our stdio as its own: what it writes is our output, `interactive` gives it our input, signals
 * go to it, and a terminal follows ours. `create` makes it, without starting it; its signal aborts when we are
 * interrupted before there is anybody to send a signal to. Left to itself, it keeps its FIFOs.
 */
export const attached = async (
  options: AttachedOptions,
  create: (stdio: StdioPaths, signal: AbortSignal) => Promise<Process>,
  onStarted: () => void = () => undefined,
): Promise<Outcome> => {
  const { id, terminal } = options;
  checkTerminal(options);
  using undo = new DisposableStack();
  const interruption = undo.use(interruptible()); // from here on a signal leaves nothing behind
  const leave = new Leave(id);
  const input = undo.use(localInput(options, leave));
  await using stdio = await AttachedStdio.open({ id, terminal }, streams(input));
  const target = await interruption.orAbort((signal) => create(stdio.paths, signal));
  // Before the start: its process may run, and have said so, before we hear of it.
  undo.use(leave.forwardingTo(target));
  interruption[Symbol.dispose]();
  if (input.terminal !== undefined) undo.use(rawTerminal(input.terminal));
  await start(target, leave.signal).catch((error: unknown) => {
    throw leave.signal.aborted ? new Failure(`interrupted ${FAREWELLS} times before it was started`) : error;
  });
  onStarted();
  if (terminal && process.stdout instanceof WriteStream) undo.use(followTerminalSize(target, process.stdout));
  const outcome = await leave.orDetached(stdio.carry(target, { onAway: tellAway }, leave.signal));
  if (outcome === 'detached') stdio.keep();
  return outcome;
};

/** The same with a process that runs already, whose stdio is at `paths`. */
export const reattached = async (options: AttachedOptions, target: Process, paths: StdioPaths): Promise<Outcome> => {
  const { id, terminal } = options;
  using undo = new DisposableStack();
  const leave = new Leave(id);
  undo.use(leave.forwardingTo(target));
  const input = undo.use(localInput(options, leave));
  await using stdio = AttachedStdio.reopen(paths, streams(input));
  if (input.terminal !== undefined) undo.use(rawTerminal(input.terminal));
  if (terminal && process.stdout instanceof WriteStream) {
    await redraw(target, process.stdout);
    undo.use(followTerminalSize(target, process.stdout));
  }
  return await leave.orDetached(stdio.carry(target, { onAway: tellAway }, leave.signal));
};

/** Our exit status for it, 0 for a process that was left; tells how to come back to that. */
export const exitStatusOf = (outcome: Outcome, id: string): number => {
  if (outcome !== 'detached') return outcome.status;
  process.stderr.write(`\nholdfast: left ${id}, which goes on; "holdfast attach ${id}" goes back to it\n`);
  return 0;
};

const checkTerminal = ({ interactive, terminal }: AttachedOptions): void => {
  if (interactive && terminal && !(process.stdin instanceof ReadStream)) {
    throw new Failure('-t with -i needs a terminal as our own input: leave out -t');
  }
};

/** A program that draws a screen does it when the size changes; equal to the last one, it would be no change. */
const redraw = async (target: Process, { columns, rows }: WriteStream): Promise<void> => {
  await target.resize(columns, rows + 1).catch(() => undefined); // it may have ended: the wait says so
};

/** A daemon that goes away in the middle may have started it or not: that is asked when it is back. */
const start = async (created: Process, signal: AbortSignal): Promise<void> => {
  try {
    await created.start(signal);
  } catch (error) {
    if (codeOf(error) !== codes.unavailable) throw error;
    const { state } = await repeatWhileAway(() => created.status(signal), tellAway, signal);
    if (state === 'created') await created.start(signal);
  }
};

interface LocalInput extends Disposable {
  /** Undefined: nothing of ours is read. */
  readonly stdin: Readable | undefined;
  /** What is to be raw. */
  readonly terminal: Parameters<typeof rawTerminal>[0] | undefined;
}

const localInput = ({ interactive, terminal, detachKeys }: AttachedOptions, leave: Leave): LocalInput => {
  const { stdin } = process;
  if (!interactive) return { stdin: undefined, terminal: undefined, [Symbol.dispose]: () => undefined };
  if (!terminal || !(stdin instanceof ReadStream)) {
    return { stdin, terminal: undefined, [Symbol.dispose]: () => undefined };
  }
  const keys = new DetachKeys(detachKeys ?? Buffer.alloc(0), () => leave.detach());
  const end = (): void => void keys.end();
  stdin.once('error', end); // a terminal that hangs up fails with EIO
  stdin.pipe(keys);
  return {
    stdin: keys,
    terminal: stdin,
    [Symbol.dispose]: () => {
      stdin.unpipe(keys).off('error', end);
      stdin.pause();
    },
  };
};

const streams = ({ stdin }: LocalInput) => {
  const { stdout, stderr } = process;
  return { stdout, stderr, ...(stdin === undefined ? {} : { stdin }) };
};

/** The ways to leave a process that goes on: its keys, or signals that it did not heed. */
class Leave {
  readonly #id: string;
  readonly #controller = new AbortController();
  #farewells = 0;
  #isDetached = false;

  constructor(id: string) {
    this.#id = id;
  }

  /** Aborts when we are to go. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  detach(): void {
    this.#isDetached = true;
    this.#controller.abort();
  }

  /** Signals that we get, `target` gets. */
  forwardingTo(target: Process): Disposable {
    return forwardSignals(target, (name) => {
      if (name !== 'SIGINT' && name !== 'SIGTERM') return;
      this.#farewells += 1;
      if (this.#farewells === FAREWELLS) this.#controller.abort();
    });
  }

  async orDetached(carried: Promise<Exit>): Promise<Outcome> {
    try {
      return await carried;
    } catch (error) {
      if (this.#isDetached) return 'detached';
      if (!this.signal.aborted) throw error;
      throw new Failure(`left ${this.#id} after ${FAREWELLS} signals`, { cause: error });
    }
  }
}

interface Interruption extends Disposable {
  /** Runs what a signal that would end this process cuts short, with an error that says so. */
  orAbort<T>(act: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

const interruptible = (): Interruption => {
  const controller = new AbortController();
  const { signal } = controller;
  const onSignal = (name: NodeJS.Signals): void =>
    controller.abort(new Failure(`interrupted by ${name} before it was started`));
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, onSignal);
  return {
    orAbort: async (act) => {
      try {
        return await act(signal);
      } catch (error) {
        throw signal.aborted ? signal.reason : error;
      }
    },
    [Symbol.dispose]: () => {
      for (const name of names) process.off(name, onSignal);
    },
  };
};

/** With \r, as in raw mode a newline does not go back to the first column. */
const tellAway = (): void =>
  void process.stderr.write('holdfast: the daemon is away; we wait for it, and the container goes on meanwhile\r\n');
