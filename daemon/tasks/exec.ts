import { about, CodedError, codeOf, codes } from '../../common/errdefs.ts';
import { checkIdentifier } from '../../common/identifiers.ts';
import type { ExecProcessRequest } from '../../proto/gen/containerd/services/tasks/v1/tasks.ts';
import type { ExecProcessRequest as ShimExecRequest } from '../../proto/gen/containerd/task/v2/task_v2.ts';
import type { Shim } from '../shims/shim.ts';
import { keyText, type ProcessKey } from './keys.ts';
import type { TaskParts } from './parts.ts';
import { requireTask, shimOf } from './registry.ts';
import { nextExecStatus } from './status.ts';

/** Adds a process to a task; Start runs it. No deadline of ours. */
export const addExec = (
  parts: TaskParts,
  key: ProcessKey,
  request: ExecProcessRequest,
  signal: AbortSignal,
): Promise<void> => {
  if (key.execId === '') throw new CodedError(codes.invalidArgument, 'exec id cannot be empty');
  requireTask(parts, key);
  try {
    checkIdentifier(key.execId);
  } catch (error) {
    throw about(`invalid exec id ${key.execId}`, error);
  }
  return parts.turns.run(keyText(key), signal, async () => {
    const task = requireTask(parts, key);
    const { stdin, stdout, stderr, terminal, spec } = request;
    const stdio = { stdin, stdout, stderr, terminal };
    // Before the shim is asked: what it tells of the process must find its place. If there is one of that name, the shim
    // refuses.
    const begun = parts.execs.get(key) === undefined;
    if (begun) {
      const unborn = { status: 'adding', pid: 0, exit: undefined, announced: false } as const;
      parts.db.transaction(() => parts.execs.put({ ...key, ...unborn, stdio, stdinClosed: false }));
    }
    try {
      const call = { id: key.id, execId: key.execId, ...stdio, spec };
      await addInShim(shimOf(parts, task), call, signal);
    } catch (error) {
      if (begun) parts.db.transaction(() => parts.execs.remove(key));
      throw error;
    }
    parts.db.transaction(() => {
      const row = parts.execs.get(key);
      if (row !== undefined) parts.execs.update(row, { status: nextExecStatus(row.status, 'add'), stdio });
    });
  });
};

/** A shim of ours that dies under the call may have written the exec down: the next one then has it already. */
const addInShim = async (shim: Shim, request: ShimExecRequest, signal: AbortSignal): Promise<void> => {
  try {
    await shim.call('exec', request, { signal });
  } catch (error) {
    if (!shim.own || codeOf(error) !== codes.unavailable || signal.aborted) throw error;
    await shim.call('exec', request, { signal }).catch((again: unknown) => {
      if (codeOf(again) !== codes.alreadyExists) throw again;
    });
  }
};
