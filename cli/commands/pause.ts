import type { Command } from 'commander';
import { codeOf, codes } from '../../common/errdefs.ts';
import { each } from '../each.ts';
import { Failure } from '../failure.ts';
import { withClient } from '../session.ts';
import { notRunning, taskStatus } from '../task-status.ts';

export const addPause = (program: Command): void =>
  addVerb(program, { verb: 'pause', does: 'freeze all processes of containers', from: 'running' });

export const addUnpause = (program: Command): void =>
  addVerb(program, { verb: 'unpause', does: 'let the processes of frozen containers go on', from: 'paused' });

interface Verb {
  readonly verb: 'pause' | 'unpause';
  readonly does: string;
  /** What a container must be. */
  readonly from: 'running' | 'paused';
}

const addVerb = (program: Command, { verb, does, from }: Verb): void => {
  const command = program
    .command(verb)
    .description(does)
    .argument('<id...>', 'the containers')
    .action(async (ids: readonly string[]) => {
      process.exitCode = await withClient(command, (client) =>
        each(client, ids, async (id) => {
          const { state } = await taskStatus(client, id);
          const task = client.tasks.of(id);
          const isRefused = (error: unknown): boolean => state !== from && codeOf(error) !== codes.unavailable;
          try {
            await (verb === 'pause' ? task.pause() : task.resume());
          } catch (error) {
            if (!isRefused(error)) throw error;
            throw verb === 'pause'
              ? notRunning(id, state)
              : new Failure(`container "${id}" is not paused, but ${state}`);
          }
        }),
      );
    });
};
