import type { Database } from '../database.ts';
import { type Exit, processColumns, processFromRaw, type RawProcess, type Stdio, type TaskKey } from './tasks.ts';

export interface ExecKey extends TaskKey {
  readonly execId: string;
}

/** `adding`: for us only, clients do not see it. */
export type ExecStatus = 'adding' | 'created' | 'running' | 'stopped';

/** A process that was added to a task. */
export interface ExecRow extends ExecKey {
  readonly status: ExecStatus;
  readonly pid: number;
  readonly stdio: Stdio;
  /** The end of the input has been asked for. */
  readonly stdinClosed: boolean;
  readonly exit: Exit | undefined;
  /** The exit is in the event log. */
  readonly announced: boolean;
}

export type ExecChange = Partial<Pick<ExecRow, 'status' | 'pid' | 'exit' | 'announced' | 'stdio' | 'stdinClosed'>>;

/** Methods that write are called inside a transaction. */
export interface ExecTable {
  get(key: ExecKey): ExecRow | undefined;
  ofTask(key: TaskKey): ExecRow[];
  /** Replaces one of that id. */
  put(row: ExecRow): void;
  update(row: ExecRow, change: ExecChange): void;
  remove(key: ExecKey): void;
}

interface Raw extends RawProcess {
  readonly namespace: string;
  readonly task: string;
  readonly id: string;
  readonly status: ExecStatus;
}

export const execTable = (db: Database): ExecTable => {
  const statements = prepare(db);
  return {
    get: ({ namespace, id, execId }) => {
      const raw = statements.get.get(namespace, id, execId);
      return raw === undefined ? undefined : fromRaw(raw);
    },
    ofTask: ({ namespace, id }) => statements.ofTask.all(namespace, id).map(fromRaw),
    put: (row) => void statements.put.run(columns(row)),
    update: (row, change) => void statements.update.run(columns({ ...row, ...change })),
    remove: ({ namespace, id, execId }) => void statements.remove.run(namespace, id, execId),
  };
};

const fromRaw = (raw: Raw): ExecRow => ({
  namespace: raw.namespace,
  id: raw.task,
  execId: raw.id,
  status: raw.status,
  ...processFromRaw(raw),
});

const columns = (row: ExecRow) => ({
  namespace: row.namespace,
  task: row.id,
  id: row.execId,
  status: row.status,
  ...processColumns(row),
});

const prepare = ({ sql }: Database) => ({
  get: sql.prepare<[string, string, string], Raw>('SELECT * FROM execs WHERE namespace = ? AND task = ? AND id = ?'),
  ofTask: sql.prepare<[string, string], Raw>('SELECT * FROM execs WHERE namespace = ? AND task = ? ORDER BY id'),
  put: sql.prepare<[object]>(
    `INSERT OR REPLACE INTO execs VALUES (
       :namespace, :task, :id, :status, :pid, :stdin, :stdout, :stderr, :terminal, :stdinClosed,
       :exitStatus, :exitedAt, :announced)`,
  ),
  update: sql.prepare<[object]>(
    `UPDATE execs SET status = :status, pid = :pid, stdin = :stdin, stdout = :stdout, stderr = :stderr,
       terminal = :terminal, stdin_closed = :stdinClosed, exit_status = :exitStatus, exited_at = :exitedAt, announced = :announced
     WHERE namespace = :namespace AND task = :task AND id = :id`,
  ),
  remove: sql.prepare<[string, string, string]>('DELETE FROM execs WHERE namespace = ? AND task = ? AND id = ?'),
});
