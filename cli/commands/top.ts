import type { Command } from 'commander';
import type { Client } from '../../client/connect.ts';
import { formatNanos, nowWholeMs } from '../../common/timestamp.ts';
import { type ContainerProcess, listProcesses } from '../list-processes.ts';
import { print } from '../print.ts';
import { clock, startClock } from '../render/human.ts';
import { json } from '../render/json.ts';
import { table } from '../render/table.ts';
import { withClient } from '../session.ts';

const MORE = `
PIDs are those of this machine, as "kill" and "strace" take them. Users have the names that the container's own
/etc/passwd gives them. --json has the exec that a process was started by, too.`;

export const addTop = (program: Command): void => {
  const command = program
    .command('top')
    .description('show the processes of a container')
    .argument('<id>', 'the container')
    .option('--json', 'a JSON array')
    .addHelpText('after', MORE)
    .action(async (id: string, options: { readonly json?: true }) => {
      await withClient(command, (client) => top(client, id, options));
    });
};

const top = async (client: Client, id: string, options: { readonly json?: true }): Promise<void> => {
  const processes = await listProcesses(client, id);
  if (options.json === true) return print(json(processes.map(document), { indent: 2 }));
  const now = nowWholeMs();
  const rows = processes.map((process) => [
    process.user,
    String(process.pid),
    String(process.parentPid),
    String(Math.floor(cpuPercent(process, now))),
    startClock(process.startedAtNanos, now),
    process.terminal ?? '?',
    clock(process.cpuNanos),
    process.command.join(' '),
  ]);
  return print(table(['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'], rows));
};

const document = (process: ContainerProcess): unknown => ({
  pid: process.pid,
  ppid: process.parentPid,
  uid: process.uid,
  user: process.user,
  tty: process.terminal,
  cpuPercent: cpuPercent(process, nowWholeMs()),
  cpuSeconds: Number(process.cpuNanos) / 1e9,
  startedAt: formatNanos(process.startedAtNanos),
  execId: process.execId,
  command: process.command,
});

/** On average since its start; 100 is one CPU. */
const cpuPercent = ({ cpuNanos, startedAtNanos }: ContainerProcess, now: bigint): number =>
  now <= startedAtNanos ? 0 : Math.round((10_000 * Number(cpuNanos)) / Number(now - startedAtNanos)) / 100;
