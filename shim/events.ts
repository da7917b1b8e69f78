import { type Codec, packAny } from '../common/any.ts';
import { timestampFromNanos } from '../common/timestamp.ts';
import {
  TaskCheckpointed,
  TaskCreate,
  TaskDelete,
  TaskExecAdded,
  TaskExecStarted,
  TaskExit,
  TaskOOM,
  TaskPaused,
  TaskResumed,
  TaskStart,
} from '../proto/gen/containerd/events/event_payloads.ts';
import type { Any } from '../proto/gen/google/protobuf/any.ts';
import type { ExitRecord } from './journal.ts';

/** A task event before it has a place in the outbox. */
export interface TaskEvent {
  readonly topic: string;
  readonly payload: Any;
}

/** The events of a task, with the fields that containerd's runc shim fills. */
export const taskEvents = {
  create: (message: TaskCreate): TaskEvent => event('create', 'TaskCreate', TaskCreate, message),
  start: (containerId: string, pid: number): TaskEvent => event('start', 'TaskStart', TaskStart, { containerId, pid }),
  oom: (containerId: string): TaskEvent => event('oom', 'TaskOOM', TaskOOM, { containerId }),
  /** `id` of an exit is the exec's, or the container's for its first process. */
  exit: (exit: ExitRecord): TaskEvent =>
    event('exit', 'TaskExit', TaskExit, {
      containerId: exit.id,
      id: exit.execId === '' ? exit.id : exit.execId,
      pid: exit.pid,
      exitStatus: exit.status,
      exitedAt: timestampFromNanos(exit.exitedAt),
    }),
  delete: (exit: Pick<ExitRecord, 'id' | 'pid' | 'status' | 'exitedAt'>): TaskEvent =>
    event('delete', 'TaskDelete', TaskDelete, {
      containerId: exit.id,
      pid: exit.pid,
      exitStatus: exit.status,
      exitedAt: timestampFromNanos(exit.exitedAt),
      id: '',
    }),
  execAdded: (containerId: string, execId: string): TaskEvent =>
    event('exec-added', 'TaskExecAdded', TaskExecAdded, { containerId, execId }),
  execStarted: (containerId: string, execId: string, pid: number): TaskEvent =>
    event('exec-started', 'TaskExecStarted', TaskExecStarted, { containerId, execId, pid }),
  paused: (containerId: string): TaskEvent => event('paused', 'TaskPaused', TaskPaused, { containerId }),
  resumed: (containerId: string): TaskEvent => event('resumed', 'TaskResumed', TaskResumed, { containerId }),
  checkpointed: (containerId: string, checkpoint: string): TaskEvent =>
    event('checkpointed', 'TaskCheckpointed', TaskCheckpointed, { containerId, checkpoint }),
} as const;

const event = <T>(verb: string, name: string, codec: Codec<T>, message: T): TaskEvent => ({
  topic: `/tasks/${verb}`,
  payload: packAny(`containerd.events.${name}`, codec, message),
});
