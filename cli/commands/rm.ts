import type { Command } from 'commander';
import { each } from '../each.ts';
import { remove } from '../remove.ts';
import { withClient } from '../session.ts';

export const addRm = (program: Command): void => {
  const command = program
    .command('rm')
    .description('remove containers and what was kept of their output')
    .argument('<id...>', 'the containers')
    .option('-f, --force', 'end those that run, with SIGKILL')
    .action(async (ids: readonly string[], { force = false }: { readonly force?: boolean }) => {
      process.exitCode = await withClient(command, (client) => each(client, ids, (id) => remove(client, id, force)));
    });
};
