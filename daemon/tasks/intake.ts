import { readAny } from '../../common/any.ts';
import { nanosFromTimestamp } from '../../common/timestamp.ts';
import {
  TaskCreate,
  TaskExecAdded,
  TaskExecStarted,
  TaskExit,
  TaskPaused,
  TaskResumed,
  TaskStart,
} from '../../proto/gen/containerd/events/event_payloads.ts';
import type { NewEvent } from '../events/log.ts';
import type { ExecRow } from '../store/tables/execs.ts';
import type { Exit, TaskKey, TaskRow } from '../store/tables/tasks.ts';
import { initOf, type ProcessKey } from './keys.ts';
import type { TaskParts } from './parts.ts';
import { nextExecStatus, nextTaskStatus } from './status.ts';

export type IntakeParts = Pick<TaskParts, 'tasks' | 'execs' | 'shimTable' | 'exits' | 'stdio'>;

/**
 * What a shim's event changes in our rows, in the transaction that puts it into the event log. False: we have published
 * it before, it is only acknowledged. Events of no task of ours change nothing, and are published.
 */
export const absorbEvent = (parts: IntakeParts, event: NewEvent): boolean => {
  noteSource(parts, event);
  switch (event.topic) {
    case '/tasks/create':
      return created(parts, event);
    case '/tasks/start':
      return started(parts, event);
    case '/tasks/paused':
      return frozen(
        parts,
        event,
        'pause',
        readAny(event.payload, 'containerd.events.TaskPaused', TaskPaused)?.containerId,
      );
    case '/tasks/resumed':
      return frozen(
        parts,
        event,
        'resume',
        readAny(event.payload, 'containerd.events.TaskResumed', TaskResumed)?.containerId,
      );
    case '/tasks/exec-added':
      return execAdded(parts, event);
    case '/tasks/exec-started':
      return execStarted(parts, event);
    case '/tasks/exit':
      return exited(parts, event);
    default:
      return true;
  }
};

/**
 * Inside a transaction: a process has ended. Clients find it stopped from now on; `announced`: its event is in the log.
 * What was known before stands.
 */
export const recordExit = (parts: IntakeParts, row: TaskRow | ExecRow, exit: Exit, announced: boolean): void => {
  const known = row.exit ?? exit;
  if ('execId' in row) {
    parts.execs.update(row, {
      status: nextExecStatus(row.status, 'exit'),
      exit: known,
      announced: row.announced || announced,
    });
  } else {
    const status = nextTaskStatus(row.status, 'exit');
    parts.tasks.update(row, { status, exit: known, announced: row.announced || announced, changedAt: known.exitedAt });
  }
  const key: ProcessKey = 'execId' in row ? row : initOf(row);
  parts.stdio.release(key);
  // After the commit: who is woken looks at the rows.
  queueMicrotask(() => parts.exits.settle(key, known));
};

const created = (parts: IntakeParts, event: NewEvent): boolean => {
  const message = readAny(event.payload, 'containerd.events.TaskCreate', TaskCreate);
  const row = taskOf(parts, event, message?.containerId);
  // The verb says when it is created; but what its process does meanwhile must find its pid.
  if (row?.status === 'creating') parts.tasks.update(row, { pid: message?.pid ?? 0 });
  return true;
};

const started = (parts: IntakeParts, event: NewEvent): boolean => {
  const message = readAny(event.payload, 'containerd.events.TaskStart', TaskStart);
  const row = taskOf(parts, event, message?.containerId);
  if (row === undefined || message === undefined || (row.pid !== 0 && row.pid !== message.pid)) return true;
  const status = nextTaskStatus(row.status, 'start');
  if (status !== row.status) parts.tasks.update(row, { status, pid: message.pid, changedAt: event.timestampNanos });
  return true;
};

/** Verbs change the row too, and are heard of sooner: an event from before the last change says nothing new. */
const frozen = (parts: IntakeParts, event: NewEvent, what: 'pause' | 'resume', id: string | undefined): boolean => {
  const row = taskOf(parts, event, id);
  if (row === undefined || event.timestampNanos < row.changedAt) return true;
  const status = nextTaskStatus(row.status, what);
  if (status !== row.status) parts.tasks.update(row, { status, changedAt: event.timestampNanos });
  return true;
};

const execAdded = (parts: IntakeParts, event: NewEvent): boolean => {
  const message = readAny(event.payload, 'containerd.events.TaskExecAdded', TaskExecAdded);
  const row = execOf(parts, event, message?.containerId, message?.execId);
  if (row !== undefined) parts.execs.update(row, { status: nextExecStatus(row.status, 'add') });
  return true;
};

const execStarted = (parts: IntakeParts, event: NewEvent): boolean => {
  const message = readAny(event.payload, 'containerd.events.TaskExecStarted', TaskExecStarted);
  const row = execOf(parts, event, message?.containerId, message?.execId);
  if (row === undefined || message === undefined || (row.pid !== 0 && row.pid !== message.pid)) return true;
  parts.execs.update(row, { status: nextExecStatus(row.status, 'start'), pid: message.pid });
  return true;
};

const exited = (parts: IntakeParts, event: NewEvent): boolean => {
  const message = readAny(event.payload, 'containerd.events.TaskExit', TaskExit);
  if (message === undefined) return true;
  const { containerId, id, pid } = message;
  const task = taskOf(parts, event, containerId);
  // An exec may be called like its container: the pid tells them apart. And a pid that is not that of the row is of an
  // earlier process of that name, whose task was deleted before its exit came.
  const ofExec = id === containerId && task?.pid === pid ? undefined : execOf(parts, event, containerId, id);
  const row = ofExec ?? (id === containerId ? task : undefined);
  if (row === undefined || row.pid !== pid) return true;
  if (row.announced) return false;
  recordExit(parts, row, { status: message.exitStatus, exitedAt: nanosFromTimestamp(message.exitedAt) }, true);
  return true;
};

/** The task that an event is about, if the event comes from that task's shim. */
const taskOf = (parts: IntakeParts, event: NewEvent, id: string | undefined): TaskRow | undefined => {
  if (id === undefined) return undefined;
  const row = parts.tasks.get({ namespace: event.namespace, id });
  return row !== undefined && isFrom(parts, event, row) ? row : undefined;
};

const execOf = (parts: IntakeParts, event: NewEvent, id?: string, execId?: string): ExecRow | undefined => {
  const task = taskOf(parts, event, id);
  return task === undefined || execId === undefined ? undefined : parts.execs.get({ ...keyOf(task), execId });
};

const keyOf = ({ namespace, id }: TaskKey): TaskKey => ({ namespace, id });

/** Our own shims say who they are; of others' tasks only those may speak that do not. */
const isFrom = (parts: IntakeParts, { shim }: NewEvent, row: TaskRow): boolean =>
  shim === undefined ? parts.shimTable.get(row.shim)?.binary !== '' : shimKeyOf(shim.id) === row.shim;

/** `<key>-<life>`. Source: the shim's forwarder. */
const shimKeyOf = (source: string): string => source.slice(0, source.lastIndexOf('-'));

/** Remembers under what name a shim sends, so that its place in the order can be forgotten when it is gone. */
const noteSource = (parts: IntakeParts, { shim }: NewEvent): void => {
  if (shim === undefined) return;
  const key = shimKeyOf(shim.id);
  if (parts.shimTable.source(key) !== shim.id) parts.shimTable.setSource(key, shim.id);
};
