import { failedPrecondition, notFound, unknownError } from '../common/errdefs.ts';

/**
 * What can happen to a container's first process, and what it is then. A verb that leaves the state as it is (exec,
 * update, checkpoint) is in the table too: an absent cell is a refusal. `restorable` is a container that was created
 * from a checkpoint: runc has not seen it yet, `start` restores it.
 */
export const initTransitions = {
  created: { start: 'running', exec: 'created', update: 'created', exit: 'stopped', delete: 'deleted' },
  restorable: { start: 'running', delete: 'deleted' },
  running: { pause: 'paused', exec: 'running', update: 'running', checkpoint: 'running', exit: 'stopped' },
  paused: { resume: 'running', update: 'paused', checkpoint: 'paused', exit: 'stopped' },
  stopped: { delete: 'deleted' },
  deleted: {},
} as const satisfies Table<InitState, InitEvent>;

/** The same for a process that was added later. `fail` is a start that runc refused: there was never a process. */
export const execTransitions = {
  created: { start: 'running', fail: 'stopped', delete: 'deleted' },
  running: { exit: 'stopped' },
  stopped: { delete: 'deleted' },
  deleted: {},
} as const satisfies Table<ExecState, ExecEvent>;

export type InitState = 'created' | 'restorable' | 'running' | 'paused' | 'stopped' | 'deleted';
export type InitEvent = 'start' | 'pause' | 'resume' | 'exec' | 'update' | 'checkpoint' | 'exit' | 'delete';
export type ExecState = 'created' | 'running' | 'stopped' | 'deleted';
export type ExecEvent = 'start' | 'fail' | 'exit' | 'delete';

/**
 * The state after `event`. What the table does not allow has the codes of containerd's runc shim: Unknown, of a Delete
 * FailedPrecondition, and NotFound of what is deleted.
 */
export const nextInitState = (state: InitState, event: InitEvent): InitState => {
  const row: Partial<Record<InitEvent, InitState>> = initTransitions[state];
  return row[event] ?? refuse(event, state);
};

export const nextExecState = (state: ExecState, event: ExecEvent): ExecState => {
  const row: Partial<Record<ExecEvent, ExecState>> = execTransitions[state];
  return row[event] ?? refuse(event, state);
};

type Table<S extends string, E extends string> = Record<S, Partial<Record<E, S>>>;

/** The words are those of containerd's runc shim: people grep for them. */
const refuse = (event: InitEvent | ExecEvent, state: InitState | ExecState): never => {
  const seen = state === 'restorable' ? 'created' : state;
  if (seen === 'deleted' && event === 'delete') throw notFound('cannot delete a deleted process');
  if (event === 'exec') throw unknownError(`cannot exec in a ${seen} state`);
  if (seen === 'created')
    throw unknownError(`cannot ${event} ${event === 'checkpoint' ? 'a ' : ''}task in created state`);
  const noun = containerVerbs.has(event) && seen !== 'running' && seen !== 'deleted' ? 'container' : 'process';
  const text = `cannot ${event} a ${seen} ${noun}`;
  throw event === 'delete' ? failedPrecondition(text) : unknownError(text);
};

const containerVerbs: ReadonlySet<string> = new Set(['pause', 'resume', 'update', 'checkpoint']);
