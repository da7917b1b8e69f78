import { mkdtempSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Mount } from '../../proto/gen/containerd/types/types.ts';
import { must } from './exec.ts';

/** Mounts what a snapshotter gave, as mount(8) understands it, calls `use` with the place, and unmounts. */
export const mounted = async <T>(
  mounts: readonly Mount[],
  folder: string,
  use: (place: string) => T | Promise<T>,
): Promise<T> => {
  const place = mkdtempSync(join(folder, 'mounted-'));
  let depth = 0;
  try {
    for (const { type, source, options } of mounts) {
      await mountOne(place, { type, source, options });
      depth += 1;
    }
    return await use(place);
  } finally {
    for (; depth > 0; depth -= 1) await must('umount', [place]);
    rmdirSync(place);
  }
};

const mountOne = async (
  place: string,
  { type, source, options }: Pick<Mount, 'type' | 'source' | 'options'>,
): Promise<void> => {
  if (type !== 'bind') return void (await must('mount', ['-t', type, '-o', options.join(','), source, place]));
  await must('mount', ['--rbind', source, place]);
  // The kernel takes no other flag along with a bind.
  if (options.includes('ro')) await must('mount', ['-o', 'remount,bind,ro', place]);
};
