import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError, codeOf, codes } from '../../common/errdefs.ts';
import { nanosFromTimestamp } from '../../common/timestamp.ts';
import { nowNanos } from '../../native/index.ts';
import { Status } from '../../proto/gen/containerd/v1/types/task_types.ts';
import type { Shim } from '../shims/shim.ts';
import type { Exit } from '../store/tables/tasks.ts';
import { keyText, type ProcessKey } from './keys.ts';
import type { TaskParts } from './parts.ts';
import { requireProcess, requireTask, shimOf } from './registry.ts';
import { nextExecStatus, nextTaskStatus } from './status.ts';
import { watchForeign } from './watch-foreign.ts';
import { keepHandout } from './keepsakes.ts';

/** Exit status of a process that never ran. */
const NEVER_RAN_STATUS = 255;
/** How often, and how many ms apart, a start that was cut is asked for its outcome. */
const OUTCOME_TRIES = 20;
const OUTCOME_RETRY_MS = 250;
/** The same of a start under which its shim died; a little longer than a shim takes to find it out. */
const LOSS_TRIES = 50;
const LOSS_RETRY_MS = 50;

/** Lets a process that was created, or added, run. No deadline of ours. */
export const startProcess = (
  parts: TaskParts,
  key: ProcessKey,
  signal: AbortSignal,
): Promise<{ readonly pid: number }> => {
  requireProcess(parts, key);
  return parts.turns.run(keyText(key), signal, async () => {
    const task = requireTask(parts, key);
    requireProcess(parts, key);
    const shim = shimOf(parts, task);
    const { id, execId } = key;
    try {
      const { pid } = await shim.call('start', { id, execId }, { signal }).catch((error: unknown) => {
        if (!shim.own || codeOf(error) !== codes.unavailable) throw error;
        return startedUnderLoss(parts, shim, key, error);
      });
      started(parts, shim, key, pid);
      await keepHandout(parts, shim);
      if (!shim.own && execId !== '') watchForeign(parts, shim, key);
      return { pid };
    } catch (error) {
      // A refusal says that it has been started before: how that went its events tell.
      if (execId !== '' && codeOf(error) !== codes.failedPrecondition) await startFailed(parts, shim, key);
      throw error;
    }
  });
};

/** The shim has died under a start. The one in its place knows whether the runtime had started the process by then. */
const startedUnderLoss = async (
  parts: TaskParts,
  shim: Shim,
  { id, execId }: ProcessKey,
  cause: unknown,
): Promise<{ readonly pid: number }> => {
  for (let tries = 0; tries < LOSS_TRIES; tries += 1) {
    if (tries > 0) await sleep(LOSS_RETRY_MS); // it may have to ask the runtime again and again itself
    const state = await shim.call('state', { id, execId }, { timeoutMs: parts.config.timeouts.taskStateMs });
    if (state.pid !== 0 && state.status !== Status.CREATED) return state;
  }
  throw cause;
};

/** Its event says the same, and may have come first; or even that of its end. */
const started = (parts: TaskParts, shim: Shim, key: ProcessKey, pid: number): void =>
  parts.db.transaction(() => {
    if (key.execId !== '') {
      const exec = parts.execs.get(key);
      if (exec === undefined) return;
      parts.execs.update(exec, { status: nextExecStatus(exec.status, 'start'), pid: exec.pid || pid });
      if (exec.exit === undefined) parts.stdio.hold(key, exec.stdio, { input: shim.own && !exec.stdinClosed });
      return;
    }
    const task = parts.tasks.get(key);
    if (task === undefined) return;
    const status = nextTaskStatus(task.status, 'start');
    if (status !== task.status) parts.tasks.update(task, { status, pid: task.pid || pid, changedAt: nowNanos() });
  });

/** An added process that could not be started never will be: who waits for it is told, and only Delete is left. */
const startFailed = async (parts: TaskParts, shim: Shim, key: ProcessKey, tries = 0): Promise<void> => {
  const { id, execId } = key;
  let exit: Exit = { status: NEVER_RAN_STATUS, exitedAt: nowNanos() };
  try {
    const state = await shim.call('state', { id, execId }, { timeoutMs: parts.config.timeouts.taskStateMs });
    // Still under way (a shim lets a start go on when its caller has gone): how it ends is asked again.
    if (state.status === Status.CREATED && tries < OUTCOME_TRIES) {
      return void setTimeout(() => {
        parts.background('outcome of a start', startFailed(parts, shim, key, tries + 1));
      }, OUTCOME_RETRY_MS).unref();
    }
    if (state.status !== Status.STOPPED) return;
    if (shim.own) exit = { status: state.exitStatus, exitedAt: nanosFromTimestamp(state.exitedAt) };
  } catch (error) {
    // Nothing is known: if it runs after all, its events will say so.
    if (!(error instanceof CodedError)) throw error;
    return;
  }
  parts.db.transaction(() => {
    const exec = parts.execs.get(key);
    if (exec === undefined || exec.pid !== 0) return;
    parts.execs.update(exec, { status: nextExecStatus(exec.status, 'fail'), exit });
    queueMicrotask(() => parts.exits.settle(key, exit));
  });
};
