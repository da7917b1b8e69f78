import type { Command } from 'commander';
import type { Client } from '../../client/connect.ts';
import { listShims, type Shim } from '../list-shims.ts';
import { print } from '../print.ts';
import { bytes, duration } from '../render/human.ts';
import { json } from '../render/json.ts';
import { table } from '../render/table.ts';
import { withClient } from '../session.ts';

const MORE = `
A shim is the process that is the parent of a container, or of the containers of a pod. One without a container is a
spare, ready for the next. Memory is resident, with what a shim shares with others; private is what it does not.`;

export const addShim = (program: Command): void => {
  const shim = program
    .command('shim')
    .description('look after the processes that containers hang on')
    .helpCommand(false);
  const ls = shim
    .command('ls')
    .description('list the shims of the daemon, of all namespaces')
    .option('--json', 'a JSON array')
    .addHelpText('after', MORE)
    .action(async (options: { readonly json?: true }) => {
      await withClient(ls, (client) => list(client, options));
    });
};

const list = async (client: Client, options: { readonly json?: true }): Promise<void> => {
  const shims = await listShims(client);
  if (options.json === true) return print(json(shims.map(shimDocument), { indent: 2 }));
  const rows = shims.map(({ namespace, containers, process }) => [
    process === undefined ? '?' : String(process.pid),
    namespace ?? '-',
    containers.length === 0 ? '(spare)' : containers.join(', '),
    process === undefined ? '?' : bytes(process.memoryBytes),
    process?.privateBytes === undefined ? '?' : bytes(process.privateBytes),
    process === undefined ? '?' : `${process.cpuPercent.toFixed(1)}%`,
    process === undefined ? '?' : duration(BigInt(process.elapsedMs) * 1_000_000n),
  ]);
  return print(table(['PID', 'NAMESPACE', 'CONTAINERS', 'MEMORY', 'PRIVATE', 'CPU', 'AGE'], rows));
};

export const shimDocument = ({ namespace, containers, runtime, process }: Shim): unknown => ({
  pid: process?.pid,
  namespace,
  containers,
  runtime,
  spare: containers.length === 0,
  memoryBytes: process?.memoryBytes,
  privateBytes: process?.privateBytes,
  cpuPercent: process?.cpuPercent,
  elapsedMs: process?.elapsedMs,
});
