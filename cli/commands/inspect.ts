import type { Command } from 'commander';
import type { Client } from '../../client/connect.ts';
import type { ProcessStatus } from '../../client/process-status.ts';
import { isNotFound } from '../../common/errdefs.ts';
import { formatNanos } from '../../common/timestamp.ts';
import { alive } from '../alive.ts';
import { isLocal } from '../local.ts';
import { logFileOf } from '../log-file.ts';
import { print } from '../print.ts';
import { startedAtNanos } from '../proc.ts';
import { json } from '../render/json.ts';
import { withClient } from '../session.ts';

export const addInspect = (program: Command): void => {
  const command = program
    .command('inspect')
    .description('show all that the daemon knows of containers, as a JSON array')
    .argument('<id...>', 'the containers')
    .option('--json', 'as it is anyway')
    .addHelpText('after', '\n"spec" is the OCI runtime specification as the runtime gets it.')
    .action(async (ids: readonly string[]) => {
      await withClient(command, async (client) => {
        const documents = [];
        for (const id of ids) documents.push(await documentOf(client, id));
        await print(json(documents, { indent: 2 }));
      });
    });
};

const documentOf = async (client: Client, id: string): Promise<unknown> => {
  const { spec, createdAtNanos, updatedAtNanos, ...rest } = await client.containers.of(id).info();
  return {
    ...rest,
    namespace: client.namespace,
    createdAt: formatNanos(createdAtNanos),
    updatedAt: formatNanos(updatedAtNanos),
    log: await logFileOf(client, id),
    task: await taskOf(client, id),
    spec,
  };
};

/** Null: it has none. */
const taskOf = async (client: Client, id: string): Promise<unknown> => {
  let status: ProcessStatus;
  try {
    status = await client.tasks.of(id).status();
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
  const { state, pid, exit, stdio } = status;
  const startedAt = alive.has(state) && (await isLocal(client)) ? startedAtNanos(pid) : undefined;
  return {
    state,
    pid: state === 'stopped' ? 0 : pid,
    startedAt: startedAt && formatNanos(startedAt),
    exitStatus: exit?.status,
    exitedAt: exit && formatNanos(exit.atNanos),
    ...stdio,
  };
};
