import { ReadStream, WriteStream } from 'node:tty';
import { AttachedStdio } from '../client/io/attached-stdio.ts';
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
}

/**
 * Runs a process with our stdio as its own: what it writes is our output, `interactive` gives it our input, signals
 * go to it, and a terminal follows ours. `create` makes it, without starting it; its signal aborts when we are
 * interrupted before there is anybody to send a signal to.
 */
export const attached = async (
  options: AttachedOptions,
  create: (stdio: StdioPaths, signal: AbortSignal) => Promise<Process>,
  onStarted: () => void = () => undefined,
): Promise<Exit> => {
  const { id, interactive, terminal } = options;
  const { stdin, stdout, stderr } = process;
  if (interactive && terminal && !(stdin instanceof ReadStream)) {
    throw new Failure('-t with -i needs a terminal as our own input: leave out -t');
  }
  using undo = new DisposableStack();
  const interruption = undo.use(interruptible()); // from here on a signal leaves nothing behind
  await using stdio = await AttachedStdio.open({ id, terminal }, { stdout, stderr, ...(interactive ? { stdin } : {}) });
  const target = await interruption.orAbort((signal) => create(stdio.paths, signal));
  const leave = new AbortController();
  // Before the start: its process may run, and have said so, before we hear of it.
  undo.use(
    forwardSignals(
      target,
      farewells(() => leave.abort()),
    ),
  );
  interruption[Symbol.dispose]();
  if (interactive && terminal && stdin instanceof ReadStream) undo.use(rawTerminal(stdin));
  await start(target, leave.signal).catch((error: unknown) => {
    throw leave.signal.aborted ? new Failure(`interrupted ${FAREWELLS} times before it was started`) : error;
  });
  onStarted();
  if (terminal && stdout instanceof WriteStream) undo.use(followTerminalSize(target, stdout));
  try {
    return await stdio.carry(target, { onAway: tellAway }, leave.signal);
  } catch (error) {
    if (!leave.signal.aborted) throw error;
    throw new Failure(`left ${id} after ${FAREWELLS} signals`, { cause: error });
  }
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

const farewells = (leave: () => void): ((name: NodeJS.Signals) => void) => {
  let count = 0;
  return (name) => {
    if ((name === 'SIGINT' || name === 'SIGTERM') && ++count === FAREWELLS) leave();
  };
};

/** With \r, as in raw mode a newline does not go back to the first column. */
const tellAway = (): void =>
  void process.stderr.write('holdfast: the daemon is away; we wait for it, and the container goes on meanwhile\r\n');
