import { messageOf } from '../common/errdefs.ts';
import type { Shim } from './shims/shim.ts';
import type { Intent } from './store/tables/intents.ts';
import type { TaskRow } from './store/tables/tasks.ts';
import { finishDelete } from './tasks/delete.ts';
import { initOf, keyText, type ProcessKey } from './tasks/keys.ts';
import { loadShim, readExitRecords } from './tasks/load.ts';
import type { TaskParts } from './tasks/parts.ts';
import { sweep } from './tasks/sweep.ts';
import { undoCreate } from './tasks/undo.ts';
import type { ExecRow } from './store/tables/execs.ts';

/** How long one shim, or one verb that a crash has cut, may keep the daemon from being ready, ms. It goes on after that. */
const READY_MS_MAX = 10_000;

/**
 * What a start of the daemon is: rows, intents, bundles and shims are made to agree. The part before the promise is done
 * when the call returns, so that whoever asks then gets true answers; the promise resolves when every shim is loaded or
 * given up on, and what a crash has cut is finished or undone. It never rejects.
 */
export const reconcile = (parts: TaskParts): Promise<void> => {
  forgetOtherBoots(parts);
  const shims = parts.shimTable.list().map((row) => parts.shims.load(row));
  for (const task of parts.tasks.list()) if (task.status !== 'creating') takeUp(parts, task);
  const loads = new Map(shims.map((shim) => [shim.key, load(parts, shim)]));
  // Their turns are taken now: a client that creates the same name again comes after us.
  const cut = parts.intents.list().map((intent) => step(parts, intent, () => settle(parts, intent, loads)));
  return afterwards(parts, shims, [...loads.values(), ...cut]);
};

const load = (parts: TaskParts, shim: Shim): Promise<void> => {
  const loaded = step(parts, { shim: shim.key }, () => loadShim(parts, shim));
  parts.catchingUp.set(shim.key, loaded);
  return loaded.finally(() => parts.catchingUp.delete(shim.key));
};

/** Shims without tasks were about to end; and what has no row must wait until all that has one is known. */
const afterwards = async (parts: TaskParts, shims: readonly Shim[], steps: readonly Promise<void>[]): Promise<void> => {
  await Promise.all(steps);
  await Promise.all(shims.map((shim) => step(parts, { shim: shim.key }, () => parts.shims.release(shim.key))));
  await step(parts, {}, () => sweep(parts));
};

/** After a reboot nothing of what ran is left, and clients find no task: as with containerd. */
const forgetOtherBoots = (parts: TaskParts): void => {
  parts.db.transaction(() => {
    for (const row of parts.shimTable.list()) {
      if (row.bootId === parts.bootId) continue;
      for (const task of parts.tasks.ofShim(row.key)) {
        parts.tasks.remove(task);
        parts.intents.clear(task);
        parts.tombstones.clear(task);
      }
      const source = parts.shimTable.source(row.key);
      if (source !== '') parts.events.forgetShim(source);
      parts.shimTable.remove(row.key);
    }
  });
};

/** What of a task lived in our process, and what its records say. */
const takeUp = (parts: TaskParts, task: TaskRow): void => {
  parts.shimLogs.open(task.bundle, task);
  parts.db.transaction(() => readExitRecords(parts, task));
  const own = parts.shimTable.get(task.shim)?.binary === '';
  const hold = (key: ProcessKey, row: TaskRow | ExecRow): void =>
    parts.stdio.hold(key, row.stdio, { input: own && !row.stdinClosed });
  if (parts.tasks.get(task)?.exit === undefined) hold(initOf(task), task);
  for (const exec of parts.execs.ofTask(task)) if (exec.status === 'running') hold(exec, exec);
};

/** Undoes a create and finishes a delete that a crash has cut. Nobody was told of the one, somebody wanted the other. */
const settle = (parts: TaskParts, intent: Intent, loads: ReadonlyMap<string, Promise<void>>): Promise<void> =>
  parts.turns.run(keyText(intent), parts.stopping, async () => {
    const row = parts.tasks.get(intent);
    if (row !== undefined) await loads.get(row.shim);
    parts.log.info({ namespace: intent.namespace, container: intent.id, verb: intent.verb }, 'a crash has cut this');
    const left = parts.tasks.get(intent);
    if (intent.verb === 'delete' && left !== undefined) await finishDelete(parts, left);
    else await undoCreate(parts, intent);
  });

/** One that fails, or takes long, keeps none of the others. */
const step = async (parts: TaskParts, what: object, work: () => Promise<unknown>): Promise<void> => {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, READY_MS_MAX).unref();
  const done = Promise.resolve()
    .then(work)
    .then(
      () => undefined,
      (error: unknown) => parts.log.error({ ...what, err: messageOf(error) }, 'could not be reconciled'),
    );
  await Promise.race([done, late]);
  clearTimeout(timer);
};
