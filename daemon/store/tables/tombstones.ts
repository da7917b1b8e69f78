import type { Database } from '../database.ts';
import type { ExecKey } from './execs.ts';
import type { Exit, TaskKey } from './tasks.ts';

/** What a delete answers. */
export interface Deleted extends Exit {
  readonly pid: number;
}

/**
 * Answers of deletes that may not have reached their client, because we were killed or it went away: asked again, it
 * gets the same. Methods that write are called inside a transaction.
 */
export interface TombstoneTable {
  /** `execId` '': the task's own. */
  get(key: ExecKey): Deleted | undefined;
  put(key: ExecKey, deleted: Deleted): void;
  remove(key: ExecKey): void;
  /** All of a task: its id is used again. */
  clear(key: TaskKey): void;
  clearAll(): void;
}

interface Raw {
  readonly pid: bigint;
  readonly exit_status: bigint;
  readonly exited_at: bigint;
}

export const tombstoneTable = ({ sql }: Database): TombstoneTable => {
  const get = sql.prepare<[string, string, string], Raw>(
    'SELECT pid, exit_status, exited_at FROM tombstones WHERE namespace = ? AND id = ? AND exec = ?',
  );
  const put = sql.prepare<[string, string, string, number, number, bigint]>(
    'INSERT OR REPLACE INTO tombstones VALUES (?, ?, ?, ?, ?, ?)',
  );
  const remove = sql.prepare<[string, string, string]>(
    'DELETE FROM tombstones WHERE namespace = ? AND id = ? AND exec = ?',
  );
  const clear = sql.prepare<[string, string]>('DELETE FROM tombstones WHERE namespace = ? AND id = ?');
  const clearAll = sql.prepare<[]>('DELETE FROM tombstones');
  return {
    get: ({ namespace, id, execId }) => {
      const raw = get.get(namespace, id, execId);
      if (raw === undefined) return undefined;
      return { pid: Number(raw.pid), status: Number(raw.exit_status), exitedAt: raw.exited_at };
    },
    put: ({ namespace, id, execId }, { pid, status, exitedAt }) =>
      void put.run(namespace, id, execId, pid, status, exitedAt),
    remove: ({ namespace, id, execId }) => void remove.run(namespace, id, execId),
    clear: ({ namespace, id }) => void clear.run(namespace, id),
    clearAll: () => void clearAll.run(),
  };
};
