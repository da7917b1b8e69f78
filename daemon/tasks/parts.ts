import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import type { ContainerStore } from '../containers/store.ts';
import type { EventLog } from '../events/log.ts';
import type { Shims } from '../shims/shims.ts';
import type { ShimLogs } from '../shims/shim-logs.ts';
import type { Database } from '../store/database.ts';
import type { ExecTable } from '../store/tables/execs.ts';
import type { IntentTable } from '../store/tables/intents.ts';
import type { ShimTable } from '../store/tables/shims.ts';
import type { TaskTable } from '../store/tables/tasks.ts';
import type { TombstoneTable } from '../store/tables/tombstones.ts';
import type { ExitWaiters } from './exits.ts';
import type { StdioHolds } from './stdio-holds.ts';
import type { Turns } from './turns.ts';

/** What the verbs work with. */
export interface TaskParts {
  readonly config: Config;
  readonly log: Logger;
  readonly db: Database;
  readonly events: EventLog;
  readonly containers: ContainerStore;
  readonly tasks: TaskTable;
  readonly execs: ExecTable;
  readonly intents: IntentTable;
  readonly tombstones: TombstoneTable;
  readonly shimTable: ShimTable;
  readonly shims: Shims;
  readonly shimLogs: ShimLogs;
  readonly stdio: StdioHolds;
  readonly turns: Turns;
  readonly exits: ExitWaiters;
  /** By shim: until it resolves, the rows of its tasks may lag behind what happened while we were away. */
  readonly catchingUp: Map<string, Promise<void>>;
  /** Deletes that were answered a moment ago, to a client that was there. */
  readonly heard: Set<string>;
  readonly bootId: string;
  /** Aborts when the daemon stops. */
  readonly stopping: AbortSignal;
  /** Owns what goes on behind a call's back; a failure is logged with `what`. */
  background(what: string, work: Promise<unknown>): void;
}
