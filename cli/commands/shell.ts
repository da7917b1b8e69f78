import type { Command } from 'commander';
import { type ExecOptions, exec } from '../exec.ts';
import { shellOf } from '../shell-of.ts';
import { withClient } from '../session.ts';
import { addProcessOptions } from './exec.ts';

const MORE = `
The shell is what SHELL says in the container's environment, else the one that its /etc/passwd has for the user, else
bash or sh. Without a terminal of ours, the shell reads our input: echo 'ls /' | holdfast shell web`;

export const addShell = (program: Command): void => {
  const command = program
    .command('shell')
    .description('open a shell in a running container')
    .argument('<id>', 'the container')
    .option('-s, --shell <path>', 'this one')
    .addHelpText('after', MORE);
  addProcessOptions(command).action(async (id: string, options: ExecOptions & { readonly shell?: string }) => {
    const { shell, ...of } = options;
    const tty = process.stdin.isTTY && process.stdout.isTTY;
    const how: ExecOptions = { ...of, interactive: true, ...(tty ? { tty } : {}) };
    process.exitCode = await withClient(command, (client) =>
      exec(client, { id, args: (place) => [shell ?? shellOf(place)] }, how),
    );
  });
};
