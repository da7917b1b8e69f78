import { groupOf, shimHash } from '../common/bootstrap.ts';
import type { Client } from '../client/connect.ts';
import { isLocal } from './local.ts';
import { readProcess } from './proc.ts';
import { figuresOf, type ProcessFigures } from './process-figures.ts';
import { type ShimProcess, shimProcesses } from './shim-processes.ts';

/** A shim process and what it serves. */
export interface Shim {
  /** Undefined: it serves nobody yet, but is ready to. */
  readonly namespace: string | undefined;
  readonly containers: readonly string[];
  readonly runtime: string | undefined;
  /** Undefined: its process was not found, or is not on this machine. */
  readonly process: ProcessFigures | undefined;
}

/**
 * The shims of a daemon, in all namespaces. The API tells of tasks and not of shims, so their processes are looked for
 * in /proc: ours by its socket's name, any other as the parent of a container's first process.
 */
export const listShims = async (client: Client): Promise<readonly Shim[]> => {
  const served = await servedGroups(client);
  const processes = (await isLocal(client)) ? shimProcesses() : [];
  const serving = served.map((group) => ({ group, process: findShim(group, processes, client.address) }));
  const busy = new Set(serving.map(({ process }) => process?.pid));
  const { pid: daemon } = await client.server.identity();
  const spares = processes.filter(({ pid, parentPid }) => parentPid === daemon && !busy.has(pid));
  return [
    ...(await Promise.all(serving.map(async ({ group, process }) => shimOf(group, process)))),
    ...(await Promise.all(spares.map(async (process) => shimOf(undefined, process)))),
  ];
};

/** Containers that one shim serves: a pod's, or a single one. */
interface Group {
  readonly namespace: string;
  readonly name: string;
  readonly runtime: string;
  readonly containers: { readonly id: string; readonly pid: number }[];
}

const servedGroups = async (client: Client): Promise<readonly Group[]> => {
  const groups: Group[] = [];
  for (const namespace of (await client.namespaces.list()).map(({ name }) => name).sort()) {
    const inside = client.inNamespace(namespace);
    const tasks = new Map((await inside.tasks.list()).map((task) => [task.id, task]));
    const here = new Map<string, Group>();
    for await (const { id, spec, runtime } of inside.containers.list()) {
      const task = tasks.get(id);
      if (task === undefined) continue;
      const name = groupOf(id, spec?.annotations);
      const group = here.get(name) ?? { namespace, name, runtime, containers: [] };
      group.containers.push({ id, pid: task.pid });
      here.set(name, group);
    }
    groups.push(...here.values());
  }
  return groups;
};

const findShim = (
  { namespace, name, containers }: Group,
  processes: readonly ShimProcess[],
  address: string,
): ShimProcess | undefined => {
  const socket = `/shims/${shimHash({ address, namespace, group: name })}/sock`;
  const ours = processes.find(({ sockets }) => sockets.some((path) => path.endsWith(socket)));
  if (ours !== undefined) return ours;
  const parents = new Set(containers.map(({ pid }) => readProcess(pid)?.parentPid));
  return processes.find(({ pid, args }) => parents.has(pid) || isFor(args, { namespace, name, address }));
};

/** What the shim protocol puts on the command line. */
const isFor = (
  args: readonly string[],
  { namespace, name, address }: { readonly namespace: string; readonly name: string; readonly address: string },
): boolean => {
  const flag = (of: string): string | undefined => args[args.indexOf(of) + 1];
  return flag('-namespace') === namespace && flag('-id') === name && flag('-address') === address;
};

const shimOf = async (group: Group | undefined, process: ShimProcess | undefined): Promise<Shim> => ({
  namespace: group?.namespace,
  containers: group?.containers.map(({ id }) => id) ?? [],
  runtime: group?.runtime,
  process: process && (await figuresOf(process.pid)),
});
