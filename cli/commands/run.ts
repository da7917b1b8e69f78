import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Client } from '../../client/connect.ts';
import type { Container } from '../../client/container.ts';
import { fileStdio, type StdioPaths } from '../../client/io/stdio.ts';
import { terminalSize } from '../../client/io/terminal.ts';
import { createSpec } from '../../client/spec/create-spec.ts';
import type { Task } from '../../client/task.ts';
import { codeOf, codes, messageOf } from '../../common/errdefs.ts';
import { attached } from '../attached.ts';
import { discard } from '../discard.ts';
import { Failure, isBrokenPipe } from '../failure.ts';
import { LOG_LABEL, logFileFor } from '../log-file.ts';
import { print } from '../print.ts';
import { clientOf } from '../session.ts';
import { unstartable } from '../unstartable.ts';
import { addRunOptions, specOptions, type RunOptions } from './run-options.ts';

const MORE = `
Images do not exist yet: --rootfs names a directory with a root file system. It is used as it is: what the container
writes stays there, unless it is run with --read-only.

Attached, the container's output is ours, signals go to it, and its exit status is ours: 125 if it could not be run at
all, 126 if the command cannot be invoked, 127 if there is no such command. With -d the id is printed, and
"holdfast logs ID" shows the output.`;

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
    await using client = clientOf(command);
    const args = [first, ...rest];
    process.exitCode = await (options.detach === true ? runDetached : runAttached)(client, args, options);
  });
};

/** Gives the exit status of the container. */
const runAttached = async (client: Client, args: readonly string[], options: RunOptions): Promise<number> => {
  await using cleanup = new AsyncDisposableStack();
  const id = options.name ?? newId();
  let isRunning = false;
  try {
    const exit = await attached(
      { id, interactive: options.interactive === true, terminal: options.tty === true },
      async (stdio, signal) => {
        const container = await create(client, cleanup, { args, options: { ...options, name: id }, labels: new Map() });
        return createTask(container, cleanup, stdio, signal);
      },
      () => {
        isRunning = true;
        if (options.rm !== true) cleanup.move(); // it stays, for ps and rm
      },
    );
    return exit.status;
  } catch (error) {
    if (!isRunning) throw unstartable(error);
    if (options.rm === true || isBrokenPipe(error)) throw error;
    throw new Failure(`${messageOf(error)}; it goes on: "holdfast kill ${id}" ends it`, { cause: error });
  }
};

/** Prints the id. */
const runDetached = async (client: Client, args: readonly string[], options: RunOptions): Promise<number> => {
  if (options.rm === true) {
    throw new Failure(
      '--rm does not go with -d: nobody would be there to remove it; use "holdfast rm" when it has ended',
    );
  }
  if (options.interactive === true && options.tty !== true) {
    throw new Failure('-i does not go with -d: nobody would be there to write to it');
  }
  await using cleanup = new AsyncDisposableStack();
  const id = options.name ?? newId();
  const log = await logFileFor(client, id);
  const labels = new Map([[LOG_LABEL, log]]);
  const container = await create(client, cleanup, { args, options: { ...options, name: id }, labels });
  await rm(log, { force: true }); // of a container of that name that another client has removed
  try {
    const task = await createTask(container, cleanup, fileStdio(log, { terminal: options.tty === true }));
    await task.start();
  } catch (error) {
    throw unstartable(error);
  }
  cleanup.move();
  await print(`${id}\n`);
  return 0;
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
