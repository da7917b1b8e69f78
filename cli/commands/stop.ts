import type { Command } from 'commander';
import type { Client } from '../../client/connect.ts';
import type { Task } from '../../client/task.ts';
import { isNotFound } from '../../common/errdefs.ts';
import { alive } from '../alive.ts';
import { endNow } from '../discard.ts';
import { each } from '../each.ts';
import { parseCount } from '../parse/count.ts';
import { parseSignal } from '../parse/signal.ts';
import { withClient } from '../session.ts';
import { taskStatus } from '../task-status.ts';

/** Seconds between the signal and SIGKILL. Source: Docker's default. */
const GRACE_SECONDS = 10;
const SIGTERM = 15;

interface StopOptions {
  readonly signal: number;
  /** Seconds. */
  readonly time: number;
}

export const addStop = (program: Command): void => {
  const command = program
    .command('stop')
    .description('end containers: SIGTERM, and after a time SIGKILL')
    .argument('<id...>', 'the containers')
    .option('-s, --signal <signal>', 'instead of SIGTERM', parseSignal, SIGTERM)
    .option('-t, --time <seconds>', 'so long before SIGKILL', parseCount, GRACE_SECONDS)
    .addHelpText('after', '\nA container that has ended stays, for "ps -a" and "logs"; "rm" removes it.')
    .action(async (ids: readonly string[], options: StopOptions) => {
      process.exitCode = await withClient(command, (client) => each(client, ids, (id) => stop(client, id, options)));
    });
  // The number would be shown as the default.
  command.options.find(({ long }) => long === '--signal')?.default(SIGTERM, 'TERM');
};

/** One that does not run is no error: it is as it should be. */
const stop = async (client: Client, id: string, { signal, time }: StopOptions): Promise<void> => {
  const { state } = await taskStatus(client, id);
  const task = client.tasks.of(id);
  if (!alive.has(state)) return;
  try {
    if (state === 'running' && (await endsBy(task, signal, time))) return;
    await endNow(task, state);
  } catch (error) {
    if (!isNotFound(error)) throw error; // it ended meanwhile
  }
};

/** Whether it ended within so many seconds. A frozen one would hear of the signal only when it thaws. */
const endsBy = async (task: Task, signal: number, seconds: number): Promise<boolean> => {
  await task.kill(signal);
  const late = AbortSignal.timeout(seconds * 1_000);
  try {
    await task.wait({}, late);
    return true;
  } catch (error) {
    if (!late.aborted) throw error;
    return false;
  }
};
