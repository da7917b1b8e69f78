import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, codes, isNotFound, messageOf } from '../../common/errdefs.ts';
import { bundlePath, bundleRoot, removeBundle, removeTree, workRoot } from '../shims/bundle.ts';
import { deleteByCommand } from '../shims/shim-command.ts';
import { commandOf } from '../shims/spawn.ts';
import { readBootstrap } from '../shims/connect.ts';
import { TaskClient } from '../shims/task-client.ts';
import type { TaskKey } from '../store/tables/tasks.ts';
import { importTask } from './import.ts';
import type { TaskParts } from './parts.ts';

/**
 * Looks for what lies about without a row: bundles, runtime states, shims, work directories. What is alive is taken in,
 * the rest removed. One thing that cannot be removed keeps none of the others.
 */
export const sweep = async (parts: TaskParts): Promise<void> => {
  const { root, state } = parts.config;
  for (const key of [...entries(bundleRoot(state)), ...entries(join(state, 'runc'))]) {
    if (parts.tasks.get(key) !== undefined) continue;
    await attempt(parts, key, async () => {
      const bundle = bundlePath(parts.config, key);
      if (!(await importTask(parts, key, bundle))) await removeRemains(parts, key, bundle);
    });
  }
  for (const hash of names(join(state, 'shims'))) {
    if (parts.shims.get(hash) !== undefined) continue;
    await attempt(parts, { shim: hash }, () => endStrayShim(parts, join(state, 'shims', hash)));
  }
  for (const key of entries(workRoot(root))) {
    if (parts.tasks.get(key) === undefined) {
      await attempt(parts, key, async () => removeTree(join(workRoot(root), key.namespace, key.id)));
    }
  }
};

/** Ends what a task without a shim may have left: container, cgroup, mounts, bundle. */
const removeRemains = async (parts: TaskParts, key: TaskKey, bundle: string): Promise<void> => {
  const binary = readBootstrap(bundle)?.binary ?? '';
  mkdirSync(bundle, { recursive: true, mode: 0o700 }); // the command works in it
  await deleteByCommand(
    commandOf(parts.shims.parts, binary),
    { ...key, bundle },
    parts.config.timeouts.shimCleanupMs,
  ).catch((error: unknown) => parts.log.warn({ ...key, err: messageOf(error) }, 'delete command failed'));
  await removeBundle(parts.config, bundle);
  parts.log.info({ ...key }, 'remains of a task were removed');
};

/** A shim that serves nobody we know: it goes if it has nothing to do. */
const endStrayShim = async (parts: TaskParts, directory: string): Promise<void> => {
  const { shimLoadMs: connectMs, shimShutdownMs: timeoutMs } = parts.config.timeouts;
  const client = new TaskClient({
    address: `unix://${join(directory, 'sock')}`,
    namespace: 'default',
    version: 2,
    connectMs,
  });
  try {
    await client.call('shutdown', { id: '', now: false }, { timeoutMs });
  } catch (error) {
    if (codeOf(error) !== codes.unavailable) throw error; // it is alive, and somebody's
    rmSync(directory, { recursive: true, force: true }); // nobody listens
  } finally {
    client.close();
  }
};

const attempt = async (parts: TaskParts, what: object, step: () => Promise<void>): Promise<void> => {
  try {
    await step();
  } catch (error) {
    if (!isNotFound(error))
      parts.log.error({ ...what, err: messageOf(error) }, 'something without a row cannot be removed');
  }
};

/** `<directory>/<namespace>/<id>`; what a removal that was cut has left is removed on the way. */
const entries = (directory: string): TaskKey[] =>
  names(directory).flatMap((namespace) => names(join(directory, namespace)).map((id) => ({ namespace, id })));

const names = (directory: string): string[] => {
  let all: string[];
  try {
    all = readdirSync(directory);
  } catch {
    return []; // nothing of the kind was ever made
  }
  for (const name of all) if (name.startsWith('.')) rmSync(join(directory, name), { recursive: true, force: true });
  return all.filter((name) => !name.startsWith('.'));
};
