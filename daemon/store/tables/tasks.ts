import type { Database } from '../database.ts';

export interface TaskKey {
  readonly namespace: string;
  /** The container's id. */
  readonly id: string;
}

/** Paths as the client gave them; '': none. */
export interface Stdio {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** How a process has ended. */
export interface Exit {
  readonly status: number;
  /** Nanoseconds since 1970. */
  readonly exitedAt: bigint;
}

/** `creating`: for us only, clients do not see it. */
export type TaskStatus = 'creating' | 'created' | 'running' | 'paused' | 'stopped';

export interface TaskRow extends TaskKey {
  /** Key of its shim. */
  readonly shim: string;
  /** Absolute path. */
  readonly bundle: string;
  readonly status: TaskStatus;
  /** 0: there is no process yet. */
  readonly pid: number;
  readonly stdio: Stdio;
  /** The end of the input has been asked for. */
  readonly stdinClosed: boolean;
  readonly exit: Exit | undefined;
  /** The exit is in the event log. */
  readonly announced: boolean;
  /** When the status changed last, nanoseconds since 1970. */
  readonly changedAt: bigint;
}

/** What may change of a row. */
export type TaskChange = Partial<
  Pick<TaskRow, 'status' | 'pid' | 'exit' | 'announced' | 'changedAt' | 'stdio' | 'stdinClosed'>
>;

/** Methods that write are called inside a transaction. */
export interface TaskTable {
  get(key: TaskKey): TaskRow | undefined;
  /** In the order of ids; without a namespace those of all. Tasks that are being created are among them. */
  list(namespace?: string): TaskRow[];
  ofShim(shim: string): TaskRow[];
  insert(row: TaskRow): void;
  update(row: TaskRow, change: TaskChange): void;
  /** With its execs. */
  remove(key: TaskKey): void;
}

export interface RawProcess {
  readonly pid: bigint;
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: bigint;
  readonly stdin_closed: bigint;
  readonly exit_status: bigint | null;
  readonly exited_at: bigint | null;
  readonly announced: bigint;
}

interface Raw extends RawProcess {
  readonly namespace: string;
  readonly id: string;
  readonly shim: string;
  readonly bundle: string;
  readonly status: TaskStatus;
  readonly changed_at: bigint;
}

export const taskTable = (db: Database): TaskTable => {
  const statements = prepare(db);
  return {
    get: ({ namespace, id }) => {
      const raw = statements.get.get(namespace, id);
      return raw === undefined ? undefined : fromRaw(raw);
    },
    list: (namespace) => (namespace === undefined ? statements.all.all() : statements.list.all(namespace)).map(fromRaw),
    ofShim: (shim) => statements.ofShim.all(shim).map(fromRaw),
    insert: (row) => void statements.insert.run(columns(row)),
    update: (row, change) => void statements.update.run(columns({ ...row, ...change })),
    remove: ({ namespace, id }) => void statements.remove.run(namespace, id),
  };
};

/** What rows of tasks and of execs have in common. */
export const processFromRaw = (raw: RawProcess) => ({
  pid: Number(raw.pid),
  stdio: { stdin: raw.stdin, stdout: raw.stdout, stderr: raw.stderr, terminal: raw.terminal !== 0n },
  stdinClosed: raw.stdin_closed !== 0n,
  exit:
    raw.exit_status === null || raw.exited_at === null
      ? undefined
      : { status: Number(raw.exit_status), exitedAt: raw.exited_at },
  announced: raw.announced !== 0n,
});

export const processColumns = (row: Pick<TaskRow, 'pid' | 'stdio' | 'stdinClosed' | 'exit' | 'announced'>) => ({
  pid: row.pid,
  ...row.stdio,
  terminal: row.stdio.terminal ? 1 : 0,
  stdinClosed: row.stdinClosed ? 1 : 0,
  exitStatus: row.exit?.status ?? null,
  exitedAt: row.exit?.exitedAt ?? null,
  announced: row.announced ? 1 : 0,
});

const fromRaw = (raw: Raw): TaskRow => ({
  namespace: raw.namespace,
  id: raw.id,
  shim: raw.shim,
  bundle: raw.bundle,
  status: raw.status,
  changedAt: raw.changed_at,
  ...processFromRaw(raw),
});

const columns = (row: TaskRow) => ({
  namespace: row.namespace,
  id: row.id,
  shim: row.shim,
  bundle: row.bundle,
  status: row.status,
  changedAt: row.changedAt,
  ...processColumns(row),
});

const prepare = ({ sql }: Database) => ({
  get: sql.prepare<[string, string], Raw>('SELECT * FROM tasks WHERE namespace = ? AND id = ?'),
  all: sql.prepare<[], Raw>('SELECT * FROM tasks ORDER BY namespace, id'),
  list: sql.prepare<[string], Raw>('SELECT * FROM tasks WHERE namespace = ? ORDER BY id'),
  ofShim: sql.prepare<[string], Raw>('SELECT * FROM tasks WHERE shim = ? ORDER BY namespace, id'),
  insert: sql.prepare<[object]>(
    `INSERT INTO tasks VALUES (
       :namespace, :id, :shim, :bundle, :status, :pid, :stdin, :stdout, :stderr, :terminal, :stdinClosed,
       :exitStatus, :exitedAt, :announced, :changedAt)`,
  ),
  update: sql.prepare<[object]>(
    `UPDATE tasks SET shim = :shim, status = :status, pid = :pid, stdin = :stdin, stdout = :stdout, stderr = :stderr,
       terminal = :terminal, stdin_closed = :stdinClosed, exit_status = :exitStatus, exited_at = :exitedAt, announced = :announced,
       changed_at = :changedAt
     WHERE namespace = :namespace AND id = :id AND bundle = :bundle`,
  ),
  remove: sql.prepare<[string, string]>('DELETE FROM tasks WHERE namespace = ? AND id = ?'),
});
