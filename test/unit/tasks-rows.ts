import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { packAny, type Codec } from '../../common/any.ts';
import { timestampFromNanos } from '../../common/timestamp.ts';
import { type EventLog, type NewEvent, openEventLog } from '../../daemon/events/log.ts';
import { forwardEvent } from '../../daemon/events/forward.ts';
import { type Database, openDatabase } from '../../daemon/store/database.ts';
import { execTable } from '../../daemon/store/tables/execs.ts';
import { shimTable } from '../../daemon/store/tables/shims.ts';
import { type TaskRow, taskTable } from '../../daemon/store/tables/tasks.ts';
import { ExitWaiters } from '../../daemon/tasks/exits.ts';
import { StdioHolds } from '../../daemon/tasks/stdio-holds.ts';
import { absorbEvent, type IntakeParts } from '../../daemon/tasks/intake.ts';
import { TaskExit } from '../../proto/gen/containerd/events/event_payloads.ts';

/** The rows of tasks in a database of their own, with an own shim `k1` and a foreign one `k2`. */
export interface Rows extends IntakeParts, AsyncDisposable {
  readonly db: Database;
  readonly events: EventLog;
  readonly bundle: string;
  /** Takes an event in, as the ttrpc server does. */
  forward(event: NewEvent): Promise<void>;
  /** Topics in the log, in order. */
  topics(): string[];
}

export const openRows = async (): Promise<Rows> => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-rows-'));
  const db = await openDatabase(join(folder, 'metadata.db'), pino({ enabled: false }));
  const events = openEventLog(db);
  const parts = {
    tasks: taskTable(db),
    execs: execTable(db),
    shimTable: shimTable(db),
    exits: new ExitWaiters(),
    stdio: new StdioHolds(),
  };
  const shim = { namespace: 'n', id: 'c', group: 'c', address: '', version: 2, pid: 0, startTime: 0n, bootId: 'b' };
  db.transaction(() => {
    parts.shimTable.put({ ...shim, key: 'k1', binary: '' });
    parts.shimTable.put({ ...shim, key: 'k2', binary: '/shim' });
  });
  return {
    ...parts,
    db,
    events,
    bundle: folder,
    forward: (event) => forwardEvent({ db, events, absorb: (one) => absorbEvent(parts, one) }, event),
    topics: () => events.read(0n, 1000).map(({ topic }) => topic),
    [Symbol.asyncDispose]: async () => {
      await db.close();
      rmSync(folder, { recursive: true });
    },
  };
};

export const taskRow = (change: Partial<TaskRow> = {}): TaskRow => ({
  namespace: 'n',
  id: 'c',
  shim: 'k1',
  bundle: '/b',
  status: 'created',
  pid: 10,
  stdio: { stdin: '', stdout: '', stderr: '', terminal: false },
  stdinClosed: false,
  exit: undefined,
  announced: false,
  changedAt: 1n,
  ...change,
});

/** An event of a task in namespace `n`; with a sequence it comes from the own shim `k1`. */
export const taskEvent = <T>(
  topic: string,
  [name, codec]: readonly [string, Codec<T>],
  message: T,
  options: { sequence?: bigint; at?: bigint; source?: string } = {},
): NewEvent => ({
  namespace: 'n',
  topic,
  timestampNanos: options.at ?? 5n,
  payload: packAny(`containerd.events.${name}`, codec, message),
  ...(options.sequence === undefined ? {} : { shim: { id: options.source ?? 'k1-life', sequence: options.sequence } }),
});

export const exitEvent = (
  exit: { id?: string; pid: number; status: number; at: bigint },
  options: { sequence?: bigint } = {},
): NewEvent =>
  taskEvent(
    '/tasks/exit',
    ['TaskExit', TaskExit],
    {
      containerId: 'c',
      id: exit.id ?? 'c',
      pid: exit.pid,
      exitStatus: exit.status,
      exitedAt: timestampFromNanos(exit.at),
    },
    options,
  );
