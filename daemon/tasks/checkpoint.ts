import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { packAny, unpackAny } from '../../common/any.ts';
import { invalidArgument, unimplemented } from '../../common/errdefs.ts';
import { CheckpointOptions } from '../../proto/gen/containerd/runc/v1/runc_options.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import type { TaskKey } from '../store/tables/tasks.ts';
import { keyText } from './keys.ts';
import type { TaskParts } from './parts.ts';
import { requireContainer, requireTask, shimOf } from './registry.ts';

/** Has criu write a task's image into the directory that the options name. No deadline of ours. */
export const checkpointTask = async (
  parts: TaskParts,
  key: TaskKey,
  options: Any | undefined,
  signal: AbortSignal,
): Promise<void> => {
  const { runtime } = requireContainer(parts, key);
  requireTask(parts, key);
  const given = unpackAny(options, 'containerd.runc.v1.CheckpointOptions', CheckpointOptions);
  if (options !== undefined && given === undefined && runtime.name.startsWith('io.containerd.runc.')) {
    throw invalidArgument(`invalid task checkpoint option for ${runtime.name}`);
  }
  const path = given?.imagePath ?? '';
  await parts.turns.run(keyText(key), signal, async () => {
    if (path === '') return tryCheckpoint(parts, key, given, signal);
    await shimOf(parts, requireTask(parts, key)).call('checkpoint', { id: key.id, path, options }, { signal });
  });
};

/**
 * A checkpoint that is to go into the content store, which is not there yet. What stands in its way before (no criu, a
 * kernel that it does not know) is reported as it is; the container goes on in any case.
 */
const tryCheckpoint = async (
  parts: TaskParts,
  key: TaskKey,
  given: CheckpointOptions | undefined,
  signal: AbortSignal,
): Promise<never> => {
  const path = mkdtempSync(join(parts.config.state, 'checkpoint-'));
  const harmless = CheckpointOptions.create({ ...given, exit: false });
  try {
    const options = packAny('containerd.runc.v1.CheckpointOptions', CheckpointOptions, harmless);
    await shimOf(parts, requireTask(parts, key)).call('checkpoint', { id: key.id, path, options }, { signal });
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
  throw unimplemented('a checkpoint without image_path, which would go into the content store');
};
