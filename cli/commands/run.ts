import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Client } from '../../client/connect.ts';
import type { Container } from '../../client/container.ts';
import { FifoDirectory } from '../../client/io/fifo-directory.ts';
import { fileStdio, type StdioPaths } from '../../client/io/stdio.ts';
import { terminalSize } from '../../client/io/terminal.ts';
import { createSpec } from '../../client/spec/create-spec.ts';
import type { Task } from '../../client/task.ts';
import { codeOf, codes, messageOf } from '../../common/errdefs.ts';
import { attached, exitStatusOf } from '../attached.ts';
import { discard } from '../discard.ts';
import { Failure, isBrokenPipe } from '../failure.ts';
import { LOG_LABEL, logFileFor } from '../log-file.ts';
import { print } from '../print.ts';
import { REMOVE_LABEL } from '../remove.ts';
import { json } from '../render/json.ts';
import { withClient } from '../session.ts';
import { unstartable } from '../unstartable.ts';
import { addRunOptions, specOptions, type RunOptions } from './run-options.ts';

const MORE = `
Images do not exist yet: --rootfs names a directory with a root file system. It is used as it is: what the container
writes stays there, unless it is run with --read-only.

Attached, the container's output is ours, signals go to it, and its exit status is ours: 125 if it could not be run at
all, 126 if the command cannot be invoked, 127 if there is no such command. With -d the id is printed,
"holdfast logs ID" shows the output, and with -i too "holdfast attach ID" gives it input. On a terminal (-it),
ctrl-p ctrl-q leaves the container to itself, and "holdfast attach ID" goes back to it.`;

export const addRun = (program: Command): void => {
  const command = program
    .command('run')
    .description('run a command in a new container')
    .usage('[options] --rootfs <dir> <command> [args…]')
    .argument('<command>', 'the program, as the container finds it')
    .argument('[args...]', 'its arguments')
    .passThroughOptions() // those behind the command are the command's
    .addHelpText('after', MORE);
  addRunOptions(command).action(async (first: string, rest: readonly string[], options: RunOptions) => {
    // Not commander's own check: that would come before it has seen an option that it does not know.
    if (options.rootfs === undefined) {
      throw new Failure('there are no images yet: name a directory with a root file system, --rootfs DIR');
    }
    const args = [first, ...rest];
    const how = options.detach === true ? runDetached : runAttached;
    process.exitCode = await withClient(command, (client) => how(client, args, options));
  });
};

/** Gives the exit status of the container, or 0 when it was left to itself. */
const runAttached = async (client: Client, args: readonly string[], options: RunOptions): Promise<number> => {
  if (options.json === true) throw new Failure("--json goes with -d: attached, the output is the container's");
  await using cleanup = new AsyncDisposableStack();
  const id = options.name ?? newId();
  let isRunning = false;
  try {
    const { interactive, tty, detachKeys } = options;
    const outcome = await attached(
      { id, interactive: interactive === true, terminal: tty === true, detachKeys },
      async (stdio, signal) => {
        const labels = new Map(options.rm === true ? [[REMOVE_LABEL, 'true']] : []);
        const container = await create(client, cleanup, { args, options: { ...options, name: id }, labels });
        return createTask(container, cleanup, stdio, signal);
      },
      () => {
        isRunning = true;
        if (options.rm !== true) cleanup.move(); // it stays, for ps and rm
      },
    );
    if (outcome === 'detached' && options.rm === true) cleanup.move(); // for whoever attaches next
    return exitStatusOf(outcome, id);
  } catch (error) {
    if (!isRunning) throw unstartable(error);
    if (options.rm === true || isBrokenPipe(error)) throw error;
    throw new Failure(`${messageOf(error)}; it goes on: "holdfast stop ${id}" ends it`, { cause: error });
  }
};

/** Prints the id. */
const runDetached = async (client: Client, args: readonly string[], options: RunOptions): Promise<number> => {
  if (options.rm === true) {
    throw new Failure(
      '--rm does not go with -d: nobody would be there to remove it; use "holdfast rm" when it has ended',
    );
  }
  await using cleanup = new AsyncDisposableStack();
  const id = options.name ?? newId();
  const log = await logFileFor(client, id);
  const labels = new Map([[LOG_LABEL, log]]);
  const container = await create(client, cleanup, { args, options: { ...options, name: id }, labels });
  await rm(log, { force: true }); // of a container of that name that another client has removed
  try {
    const stdin = options.interactive === true ? await inputFor(id, cleanup) : '';
    const stdio = fileStdio(log, { terminal: options.tty === true, stdin });
    await (await createTask(container, cleanup, stdio)).start();
  } catch (error) {
    throw unstartable(error);
  }
  cleanup.move();
  await print(options.json === true ? json({ id }) : `${id}\n`);
  return 0;
};

/** A FIFO for whoever attaches. */
const inputFor = async (id: string, cleanup: AsyncDisposableStack): Promise<string> => {
  const fifos = await FifoDirectory.make({ id, stdin: true, output: 'none', terminal: false });
  return cleanup.use(fifos).paths.stdin;
};

interface NewContainer {
  readonly args: readonly string[];
  readonly options: RunOptions;
  readonly labels: ReadonlyMap<string, string>;
}

const create = async (
  client: Client,
  cleanup: AsyncDisposableStack,
  { args, options, labels }: NewContainer,
): Promise<Container> => {
  const { name: id = newId(), runtime, tty } = options;
  const consoleSize = tty === true ? terminalSize(process.stdout) : undefined;
  const spec = createSpec({
    ...specOptions(options),
    ...(consoleSize === undefined ? {} : { consoleSize }),
    namespace: client.namespace,
    id,
    args,
  });
  try {
    const container = await client.containers.create({
      id,
      spec,
      labels: new Map([...(options.label ?? []), ...labels]),
      ...(runtime === undefined ? {} : { runtime }),
    });
    cleanup.defer(() => container.delete());
    return container;
  } catch (error) {
    if (codeOf(error) !== codes.alreadyExists) throw error;
    throw new Failure(`there is a container "${id}" already: "holdfast rm ${id}" removes it`, { cause: error });
  }
};

const createTask = async (
  container: Container,
  cleanup: AsyncDisposableStack,
  stdio: StdioPaths,
  signal?: AbortSignal,
): Promise<Task> => {
  cleanup.defer(() => discard(container.task)); // before the call: one that is cut short may have made it
  return container.createTask(stdio, {}, signal);
};

const newId = (): string => randomBytes(6).toString('hex');
