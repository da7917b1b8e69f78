import type { Command } from 'commander';
import type { Client } from '../../client/connect.ts';
import { codeOf, codes, isNotFound } from '../../common/errdefs.ts';
import { each } from '../each.ts';
import { Failure } from '../failure.ts';
import { parseSignal } from '../parse/signal.ts';
import { withClient } from '../session.ts';

const SIGKILL = 9;

interface KillOptions {
  readonly signal: number;
  readonly all?: true;
}

export const addKill = (program: Command): void => {
  const command = program
    .command('kill')
    .description('send a signal to containers')
    .argument('<id...>', 'the containers')
    .option('-s, --signal <signal>', 'name or number: TERM, SIGHUP, 9', parseSignal, SIGKILL)
    .option('-a, --all', 'to all processes of the container, not only to its first')
    .action(async (ids: readonly string[], options: KillOptions) => {
      process.exitCode = await withClient(command, (client) => each(client, ids, (id) => kill(client, id, options)));
    });
  // The number would be shown as the default.
  command.options.find(({ long }) => long === '--signal')?.default(SIGKILL, 'KILL');
};

const kill = async (client: Client, id: string, { signal, all }: KillOptions): Promise<void> => {
  const container = client.containers.of(id);
  try {
    await container.task.kill(signal, { all: all === true });
  } catch (error) {
    if (!isNotFound(error) && codeOf(error) !== codes.failedPrecondition) throw error;
    await container.info(); // or there is no such container at all
    throw new Failure(`container "${id}" is not running`, { cause: error });
  }
};
