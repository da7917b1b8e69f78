import type { ExecStatus } from '../store/tables/execs.ts';
import type { TaskStatus } from '../store/tables/tasks.ts';

/**
 * What we take a task for after something has happened to it. The shim refuses what may not be; we only follow, so an
 * absent cell is news that comes late (its process has ended meanwhile) and changes nothing.
 */
export const taskTransitions = {
  creating: { create: 'created' },
  created: { start: 'running', exit: 'stopped' },
  running: { pause: 'paused', exit: 'stopped' },
  paused: { resume: 'running', exit: 'stopped' },
  stopped: {},
} as const satisfies Record<TaskStatus, Partial<Record<TaskEvent, TaskStatus>>>;

/** The same for an added process. `fail`: its start has failed, and there will never be one. */
export const execTransitions = {
  adding: { add: 'created', start: 'running', exit: 'stopped' },
  created: { start: 'running', fail: 'stopped', exit: 'stopped' },
  running: { exit: 'stopped' },
  stopped: {},
} as const satisfies Record<ExecStatus, Partial<Record<ExecEvent, ExecStatus>>>;

export type TaskEvent = 'create' | 'start' | 'pause' | 'resume' | 'exit';
export type ExecEvent = 'add' | 'start' | 'fail' | 'exit';

export const nextTaskStatus = (status: TaskStatus, event: TaskEvent): TaskStatus => {
  const row: Partial<Record<TaskEvent, TaskStatus>> = taskTransitions[status];
  return row[event] ?? status;
};

export const nextExecStatus = (status: ExecStatus, event: ExecEvent): ExecStatus => {
  const row: Partial<Record<ExecEvent, ExecStatus>> = execTransitions[status];
  return row[event] ?? status;
};
