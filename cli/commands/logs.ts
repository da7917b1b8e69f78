import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Client } from '../../client/connect.ts';
import { QUIET_MS } from '../../client/io/pump.ts';
import { isNotFound } from '../../common/errdefs.ts';
import { copyLog } from '../copy-log.ts';
import { Failure } from '../failure.ts';
import { logFileOf } from '../log-file.ts';
import { parseCount } from '../parse/count.ts';
import { withClient } from '../session.ts';

interface LogsOptions {
  readonly follow?: true;
  readonly tail?: number;
}

const MORE = `
Both outputs of a container that was started with "holdfast run -d" are in one file, in the order in which they were
written. What an attached container writes goes to whoever is attached, and is not kept.`;

export const addLogs = (program: Command): void => {
  const command = program
    .command('logs')
    .description('show what a detached container has written')
    .argument('<id>', 'the container')
    .option('-f, --follow', 'go on with what it writes, until it ends')
    .option('-n, --tail <number>', 'only so many lines of what is there', parseCount)
    .addHelpText('after', MORE)
    .action(async (id: string, options: LogsOptions) => {
      await withClient(command, (client) => logs(client, id, options));
    });
};

const logs = async (client: Client, id: string, { follow, tail }: LogsOptions): Promise<void> => {
  const path = await logFileOf(client, id);
  if (path === undefined) {
    throw new Failure(`the output of container "${id}" is not kept: only that of "holdfast run -d" is`);
  }
  const until = follow === true ? ended(client, id) : undefined;
  try {
    await copyLog(path, { tail, until });
  } catch (error) {
    if (!(error instanceof Error) || !('path' in error)) throw error;
    throw new Failure(`the output of container "${id}" cannot be read: ${error.message}`, { cause: error });
  }
  await until;
};

/** Resolves when the container does not run (any more), and all that it has written is there. */
const ended = async (client: Client, id: string): Promise<void> => {
  const task = client.tasks.of(id);
  try {
    const { stdio } = await task.status();
    await task.wait();
    // What came out of a terminal, the shim copies; nobody tells when it has done so.
    if (stdio.terminal) await pause(QUIET_MS);
  } catch (error) {
    if (!isNotFound(error)) throw error; // removed meanwhile
  }
};
