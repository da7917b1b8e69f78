import { Argument, type Command } from 'commander';
import { complete, type Completion } from '../completion/complete.ts';
import { daemonNames } from '../completion/names.ts';
import { COMPLETE, completionScript, SHELLS, type Shell } from '../completion/scripts.ts';
import { print } from '../print.ts';
import { plain } from '../render/plain.ts';

const MORE = `
For this shell:         source <(holdfast completion bash)
For all shells of bash: holdfast completion bash >/etc/bash_completion.d/holdfast
For zsh:                holdfast completion zsh >"\${fpath[1]}/_holdfast"
For fish:               holdfast completion fish >~/.config/fish/completions/holdfast.fish`;

export const addCompletion = (program: Command): void => {
  program
    .command('completion')
    .description('print a script that has a shell complete verbs, options and containers')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText('after', MORE)
    .action((shell: Shell) => print(completionScript(shell)));
  program
    .command(COMPLETE, { hidden: true })
    .argument('[words...]')
    .action(async (words: readonly string[]) => {
      const { address, namespace } = program.opts<{ readonly address: string; readonly namespace: string }>();
      const completion = await complete(program, words, (values) =>
        daemonNames({
          address: values.get('--address') ?? address,
          namespace: values.get('--namespace') ?? namespace,
        }),
      );
      await print(lines(completion));
    });
};

const lines = ({ candidates, paths }: Completion): string =>
  [...candidates.map(({ text, description }) => `${plain(text)}\t${plain(description)}`), `:${paths ?? ''}`]
    .map((line) => `${line}\n`)
    .join('');
