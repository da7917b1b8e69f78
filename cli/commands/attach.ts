import type { Command } from 'commander';
import type { Client } from '../../client/connect.ts';
import type { ProcessStatus } from '../../client/process-status.ts';
import { alive } from '../alive.ts';
import { exitStatusOf, reattached } from '../attached.ts';
import { Failure } from '../failure.ts';
import { detachKeysOption } from '../parse/detach-keys.ts';
import { otherReader } from '../readers.ts';
import { remove, REMOVE_LABEL } from '../remove.ts';
import { shimProcesses } from '../shim-processes.ts';
import { withClient } from '../session.ts';
import { notRunning, taskStatus } from '../task-status.ts';

interface AttachOptions {
  readonly stdin: boolean;
  readonly detachKeys: Buffer;
}

const MORE = `
What the container writes from now on is our output, what we are given is its input if it was started with -i, signals
go to it, and its exit status is ours. On a terminal, ctrl-p ctrl-q leaves it to itself again.

What a container that was run without -d writes while nobody is attached waits for the next who attaches; when some
64 KiB wait, the container does too. One that was run with -d never waits: its output is kept for "holdfast logs".`;

export const addAttach = (program: Command): void => {
  const command = program
    .command('attach')
    .description('connect to the input and output of a running container')
    .argument('<id>', 'the container')
    .option('--no-stdin', 'give it nothing of our input')
    .addOption(detachKeysOption())
    .addHelpText('after', MORE)
    .action(async (id: string, options: AttachOptions) => {
      process.exitCode = await withClient(command, (client) => attach(client, id, options));
    });
};

/** Gives the exit status of the container, or 0 when it was left to itself. */
const attach = async (client: Client, id: string, { stdin, detachKeys }: AttachOptions): Promise<number> => {
  const { labels } = await client.containers.of(id).info();
  const status = await taskStatus(client, id);
  checkAttachable(id, status);
  await checkAlone(client, id, status);
  const { stdio } = status;
  const how = { id, interactive: stdin && stdio.stdin !== '', terminal: stdio.terminal, detachKeys };
  const outcome = await reattached(how, client.tasks.of(id), stdio);
  if (outcome !== 'detached' && labels.has(REMOVE_LABEL)) await remove(client, id, false);
  return exitStatusOf(outcome, id);
};

const checkAttachable = (id: string, { state, stdio }: ProcessStatus): void => {
  if (!alive.has(state)) throw notRunning(id, state);
  if (stdio.stdout.startsWith('/') || stdio.stdout.startsWith('file://')) return;
  const where = stdio.stdout === '' ? 'dropped' : `given to ${stdio.stdout}`;
  throw new Failure(`the output of container "${id}" is ${where}: there is nothing to attach to`);
};

const checkAlone = async (client: Client, id: string, { stdio }: ProcessStatus): Promise<void> => {
  if (!stdio.stdout.startsWith('/')) return;
  const { pid } = await client.server.identity();
  const holders = new Set([pid, ...shimProcesses().map((shim) => shim.pid)]);
  const reader = otherReader(stdio.stdout, holders);
  if (reader === undefined) return;
  throw new Failure(
    `${reader.name} (process ${reader.pid}) is attached to container "${id}": two would each get a part of its output`,
  );
};
