import { Command } from 'commander';
import { VERSION } from '../common/version.ts';
import { addAttach } from './commands/attach.ts';
import { addCompletion } from './commands/completion.ts';
import { addEvents } from './commands/events.ts';
import { addExec } from './commands/exec.ts';
import { addInfo } from './commands/info.ts';
import { addInspect } from './commands/inspect.ts';
import { addKill } from './commands/kill.ts';
import { addLogs } from './commands/logs.ts';
import { addPause, addUnpause } from './commands/pause.ts';
import { addPs } from './commands/ps.ts';
import { addRm } from './commands/rm.ts';
import { addRun } from './commands/run.ts';
import { addShell } from './commands/shell.ts';
import { addShim } from './commands/shim.ts';
import { addStats } from './commands/stats.ts';
import { addStop } from './commands/stop.ts';
import { addTop } from './commands/top.ts';
import { addWait } from './commands/wait.ts';
import { addConnectionOptions, repeatConnectionOptions } from './session.ts';

const VERBS = [
  ['Containers:', [addRun, addPs, addStop, addKill, addPause, addUnpause, addWait, addRm]],
  ['Inside them:', [addExec, addShell, addAttach, addLogs, addTop, addStats, addInspect]],
  ['The daemon:', [addInfo, addEvents, addShim]],
] as const;

/** The command line with all its verbs. Whatever is wrong with one throws; nothing is printed for it. */
export const makeProgram = (): Command => {
  const program = new Command('holdfast')
    .description("Runs and watches containers of a Holdfast daemon, or of any that speaks containerd's API.")
    .version(`holdfast ${VERSION}`, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this, or the help of a command')
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
  addConnectionOptions(program);
  for (const [heading, verbs] of VERBS) {
    program.commandsGroup(heading);
    for (const add of verbs) add(program);
  }
  repeatConnectionOptions(program);
  program.commandsGroup('This command:').helpCommand('help [command]', 'print the help of a command');
  addCompletion(program);
  return program;
};
