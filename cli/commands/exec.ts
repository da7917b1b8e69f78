import type { Command } from 'commander';
import { type ExecOptions, exec } from '../exec.ts';
import { collectEnv } from '../parse/pairs.ts';
import { withClient } from '../session.ts';

const MORE = `
The exit status is that of the command: 126 if it cannot be invoked, 127 if there is no such command, 125 if it could
not be run for another reason. An attached command ends with us; with -d it goes on, and its output is dropped.`;

export const addExec = (program: Command): void => {
  const command = program
    .command('exec')
    .description('run a command in a running container')
    .usage('[options] <id> <command> [args…]')
    .argument('<id>', 'the container')
    .argument('<command>', 'the program, as the container finds it')
    .argument('[args...]', 'its arguments')
    .option('-d, --detach', 'leave the command to itself')
    .option('-i, --interactive', 'give it our input')
    .option('-t, --tty', 'give it a terminal')
    .passThroughOptions()
    .addHelpText('after', MORE);
  addProcessOptions(command).action(
    async (id: string, first: string, rest: readonly string[], options: ExecOptions) => {
      const args = [first, ...rest];
      process.exitCode = await withClient(command, (client) => exec(client, { id, args: () => args }, options));
    },
  );
};

/** What can be said of any process that is added to a container. */
export const addProcessOptions = (command: Command): Command =>
  command
    .option('-e, --env <name=value>', 'environment variable; NAME alone passes ours on', collectEnv)
    .option('-u, --user <name[:group]>', "user and group, by name or number, as the container's /etc/passwd has them")
    .option('-w, --workdir <dir>', 'working directory in the container');
