import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '../common/errdefs.ts';
import type { CheckpointTaskRequest } from '../proto/gen/containerd/task/v2/task_v2.ts';
import type { Container } from './container.ts';
import { taskEvents } from './events.ts';
import { checkpointOptions } from './options.ts';
import { runtimeError } from './runc/errors.ts';

/** Has criu write a container's image to the directory of the request, and end the container if its options say so. */
export const checkpointContainer = async (
  container: Container,
  request: CheckpointTaskRequest,
  signal: AbortSignal,
): Promise<void> => {
  const { init, runc, bundle } = container;
  init.allow('checkpoint');
  const options = checkpointOptions(request.options);
  const workPath = options.workPath || join(bundle, 'criu-work');
  mkdirSync(workPath, { recursive: true, mode: 0o711 });
  const call = {
    imagePath: request.path,
    workPath,
    leaveRunning: !options.exit,
    tcpEstablished: options.openTcp,
    externalUnixSockets: options.externalUnixSockets,
    shellJob: options.terminal,
    fileLocks: options.fileLocks,
    emptyNamespaces: options.emptyNamespaces,
    cgroupsMode: options.cgroupsMode,
  };
  try {
    await runc.checkpoint(container.id, call, signal);
  } catch (error) {
    const log = join(bundle, 'criu-dump.log');
    const hint = keepLog(join(workPath, 'dump.log'), log) ? ` (criu's log: ${log})` : '';
    throw error instanceof CodedError ? error : runtimeError(`OCI runtime checkpoint failed${hint}`, error);
  } finally {
    // A directory of the caller's choice is the caller's.
    if (options.workPath === '') rmSync(workPath, { recursive: true, force: true });
  }
  init.publish(taskEvents.checkpointed(container.id, request.path));
};

const keepLog = (from: string, to: string): boolean => {
  try {
    copyFileSync(from, to);
    return true;
  } catch {
    return false; // criu did not come as far as writing one
  }
};
