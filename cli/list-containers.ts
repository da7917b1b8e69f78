import type { Client } from '../client/connect.ts';
import type { ContainerInfo } from '../client/container.ts';
import type { Exit, ProcessState, ProcessStatus } from '../client/process-status.ts';
import { alive } from './alive.ts';
import { isLocal } from './local.ts';
import { startedAtNanos } from './proc.ts';

/** A container together with its task. */
export interface ContainerRow {
  readonly id: string;
  /** Name of its image, or path of its root file system. */
  readonly image: string;
  readonly command: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
  /** `none`: it has no task. */
  readonly state: ProcessState | 'none';
  /** 0: none. */
  readonly pid: number;
  readonly exit: Exit | undefined;
  /** Nanoseconds since 1970; 0n: not known. */
  readonly createdAtNanos: bigint;
  /** Undefined: it does not run, or not on this machine. */
  readonly startedAtNanos: bigint | undefined;
}

/** The containers of the client's namespace, the youngest first. */
export const listContainers = async (client: Client): Promise<readonly ContainerRow[]> => {
  const tasks = new Map((await client.tasks.list()).map((task) => [task.id, task]));
  const isHere = await isLocal(client);
  const rows: ContainerRow[] = [];
  for await (const container of client.containers.list()) rows.push(rowOf(container, tasks.get(container.id), isHere));
  return rows.sort((a, b) => Number(b.createdAtNanos - a.createdAtNanos));
};

const rowOf = (
  { id, image, spec, labels, createdAtNanos }: ContainerInfo,
  task: ProcessStatus | undefined,
  isHere: boolean,
): ContainerRow => {
  const { state = 'none', pid = 0, exit } = task ?? {};
  return {
    id,
    image: image === '' ? (spec?.root?.path ?? '') : image,
    command: spec?.process?.args ?? [],
    labels,
    state,
    pid,
    exit,
    createdAtNanos,
    startedAtNanos: isHere && task !== undefined && alive.has(task.state) ? startedAtNanos(pid) : undefined,
  };
};
