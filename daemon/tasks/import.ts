import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { groupOf, shimPaths } from '../../common/bootstrap.ts';
import { codeOf, codes, isNotFound, messageOf, unavailable } from '../../common/errdefs.ts';
import { nanosFromTimestamp } from '../../common/timestamp.ts';
import { nowNanos } from '../../native/index.ts';
import { readBootstrap } from '../shims/connect.ts';
import type { Shim } from '../shims/shim.ts';
import { ownShimKey } from '../shims/spawn.ts';
import type { ShimRow } from '../store/tables/shims.ts';
import type { TaskKey } from '../store/tables/tasks.ts';
import { keyText } from './keys.ts';
import { taskStatuses } from './load.ts';
import type { TaskParts } from './parts.ts';

/**
 * A bundle that our rows know nothing of, because they were lost or come from a backup: if its shim lives, or can be
 * brought back, the task is taken in as it is. False: there is nothing alive.
 */
export const importTask = async (parts: TaskParts, key: TaskKey, bundle: string): Promise<boolean> => {
  const row = shimRow(parts, key, bundle);
  if (row === undefined) return false;
  const known = parts.shims.get(row.key);
  if (known === undefined) parts.db.transaction(() => parts.shimTable.put(row));
  const shim = known ?? parts.shims.load(row);
  try {
    if (known === undefined) await reach(parts, shim);
    const state = await shim.call(
      'state',
      { id: key.id, execId: '' },
      { timeoutMs: parts.config.timeouts.taskStateMs },
    );
    const { stdin, stdout, stderr, terminal, pid, exitStatus, exitedAt } = state;
    const status = taskStatuses.get(state.status) ?? 'stopped';
    const exit = status === 'stopped' ? { status: exitStatus, exitedAt: nanosFromTimestamp(exitedAt) } : undefined;
    const stdio = { stdin, stdout, stderr, terminal };
    // Whether its exit was published nobody knows; a repeat would harm clients that have dealt with it.
    const announced = exit !== undefined;
    parts.db.transaction(() =>
      parts.tasks.insert({
        ...key,
        shim: row.key,
        bundle,
        status,
        pid,
        stdio,
        stdinClosed: true, // not known; a writer of ours could keep it open for ever
        exit,
        announced,
        changedAt: nowNanos(),
      }),
    );
    parts.log.warn({ ...key, pid, status }, 'task without a row was taken in');
    return true;
  } catch (error) {
    if (!isNotFound(error)) parts.log.warn({ ...key, err: messageOf(error) }, 'task without a row cannot be taken in');
    if (known === undefined) parts.shims.forget(shim, unavailable(`shim of ${key.id} is lost`));
    // One that is slow is alive: nothing of it may be removed.
    if (codeOf(error) === codes.deadlineExceeded) throw error;
    return false;
  }
};

const reach = async (parts: TaskParts, shim: Shim): Promise<void> => {
  try {
    await parts.shims.reconnect(shim);
  } catch (error) {
    if (!shim.own || !existsSync(shimPaths(parts.config.state, shim.key).ledger)) throw error;
    await parts.shims.adopt(shim);
  }
};

const shimRow = (parts: TaskParts, key: TaskKey, bundle: string): ShimRow | undefined => {
  const bootstrap = readBootstrap(bundle);
  if (bootstrap === undefined) return undefined;
  const group = bootstrap.binary === '' ? groupOf(key.id, annotationsIn(bundle)) : key.id;
  const shimKey = bootstrap.binary === '' ? ownShimKey(parts.shims.parts, key.namespace, group) : keyText(key);
  return { key: shimKey, ...key, group, ...bootstrap, pid: 0, startTime: 0n, bootId: parts.bootId };
};

const annotationsIn = (bundle: string): Record<string, string> | undefined => {
  try {
    const spec: { annotations?: Record<string, string> } = JSON.parse(
      readFileSync(join(bundle, 'config.json'), 'utf8'),
    );
    return spec.annotations;
  } catch {
    return undefined;
  }
};
