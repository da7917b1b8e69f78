import { Command, Option } from 'commander';
import { DEFAULT_ADDRESS, DEFAULT_NAMESPACE } from '../client/connect.ts';
import { VERSION } from '../common/version.ts';
import { addEvents } from './commands/events.ts';
import { addExec } from './commands/exec.ts';
import { addInfo } from './commands/info.ts';
import { addKill } from './commands/kill.ts';
import { addLogs } from './commands/logs.ts';
import { addPs } from './commands/ps.ts';
import { addRm } from './commands/rm.ts';
import { addRun } from './commands/run.ts';

/** The command line with all its verbs. Whatever is wrong with one throws; nothing is printed for it. */
export const makeProgram = (): Command => {
  const program = new Command('holdfast')
    .description("Runs and watches containers of a Holdfast daemon, or of any that speaks containerd's API.")
    .version(`holdfast ${VERSION}`, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this, or the help of a command')
    .helpCommand('help [command]', 'print the help of a command')
    .addOption(
      new Option('-a, --address <path>', "the daemon's socket").env('HOLDFAST_ADDRESS').default(DEFAULT_ADDRESS),
    )
    .addOption(
      new Option('-n, --namespace <name>', 'whose containers').env('HOLDFAST_NAMESPACE').default(DEFAULT_NAMESPACE),
    )
    // What stands behind the verb is the verb's: -a is another thing to ps.
    .enablePositionalOptions()
    .configureOutput({ outputError: () => undefined }) // main says it
    .exitOverride()
    .addHelpText(
      'after',
      `
Examples:
  holdfast run --rm -it --rootfs /srv/busybox sh
  holdfast run -d --name web --rootfs /srv/web httpd -f
  holdfast logs -f web
  holdfast events --since 10m --follow`,
    );
  for (const add of [addRun, addPs, addExec, addKill, addRm, addLogs, addEvents, addInfo]) add(program);
  return program;
};
