import { failedPrecondition } from '../../common/errdefs.ts';
import type { Made } from './backend.ts';
import type { FileWorkers } from './file-workers.ts';
import type { Usage } from './snapshotter.ts';

/** `subject` begins the refusal: each of containerd's snapshotters has words of its own. */
export const requireMountable = (subject: string, { kind, backendKey }: Made): void => {
  if (kind === 'committed') {
    throw failedPrecondition(`${subject}: requested snapshot ${backendKey} not active or view`);
  }
};

export const requireActive = ({ kind, backendKey }: Made): void => {
  if (kind === 'active') return;
  throw failedPrecondition(`failed to commit snapshot: snapshot ${JSON.stringify(backendKey)} is not active`);
};

export const measured = async (workers: FileWorkers, path: string, signal: AbortSignal): Promise<Usage> => {
  const usage = await workers.run({ verb: 'measure', path }, signal);
  if (usage === undefined) throw new Error(`bug: ${path} was not measured`);
  return usage;
};
