import type { ExecKey } from '../store/tables/execs.ts';
import type { TaskKey } from '../store/tables/tasks.ts';

/** A process of a task; `execId` '': its first. */
export type ProcessKey = ExecKey;

/** Identifiers have no slash, so nothing else is written like this. */
export const keyText = ({ namespace, id, execId = '' }: TaskKey & { readonly execId?: string }): string =>
  execId === '' ? `${namespace}/${id}` : `${namespace}/${id}/${execId}`;

export const initOf = ({ namespace, id }: TaskKey): ProcessKey => ({ namespace, id, execId: '' });
