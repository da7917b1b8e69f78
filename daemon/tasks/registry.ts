import { CodedError, codes, notFound, unavailable } from '../../common/errdefs.ts';
import type { Container } from '../containers/store.ts';
import type { Shim } from '../shims/shim.ts';
import type { ExecRow } from '../store/tables/execs.ts';
import type { TaskKey, TaskRow } from '../store/tables/tasks.ts';
import type { ProcessKey } from './keys.ts';
import type { TaskParts } from './parts.ts';

/** What finding things takes. */
export type RegistryParts = Pick<TaskParts, 'containers' | 'tasks' | 'execs' | 'shims'>;

/** The container; NotFound in the words of containerd. */
export const requireContainer = (parts: RegistryParts, { namespace, id }: TaskKey): Container =>
  parts.containers.get(namespace, id);

/** The task of a container, as clients see it; NotFound if either is missing. */
export const requireTask = (parts: RegistryParts, key: TaskKey): TaskRow => {
  requireContainer(parts, key);
  const row = visibleTask(parts, key);
  if (row === undefined) throw noTask(key.id);
  return row;
};

/** A task that has been created; undefined: there is none, or not yet. */
export const visibleTask = (parts: Pick<RegistryParts, 'tasks'>, key: TaskKey): TaskRow | undefined => {
  const row = parts.tasks.get(key);
  return row?.status === 'creating' ? undefined : row;
};

/** In containerd's words, which lack the usual suffix. */
export const noTask = (id: string): CodedError => new CodedError(codes.notFound, `task ${id} not found`);

/** A process that was added to a task; NotFound in the words of containerd's shim. */
export const requireExec = (parts: RegistryParts, key: ProcessKey): ExecRow => {
  const row = parts.execs.get(key);
  if (row === undefined || row.status === 'adding') throw notFound(`process does not exist ${key.execId}`);
  return row;
};

/** The task, and with an exec id that process too. */
export const requireProcess = (parts: RegistryParts, key: ProcessKey): TaskRow | ExecRow => {
  const task = requireTask(parts, key);
  return key.execId === '' ? task : requireExec(parts, key);
};

/** The shim of a task; Unavailable if it is gone and could not be brought back. */
export const shimOf = (parts: RegistryParts, row: TaskRow): Shim => {
  const shim = parts.shims.get(row.shim);
  if (shim === undefined) throw unavailable(`shim of task ${row.id} is gone`);
  return shim;
};
