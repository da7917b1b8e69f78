import { join } from 'node:path';
import type { Service } from './call.ts';
import type { Core } from './core.ts';
import type { DiffContent } from './diff/content.ts';
import { temporaryMounts } from './diff/temporary-mounts.ts';
import { Workers } from './diff/workers.ts';
import { diffService } from './services/diff.ts';

/** Layers to and from file systems. */
export interface DiffPart {
  readonly services: readonly Service[];
  /** Ends what is under way; nothing stays mounted. */
  close(): Promise<void>;
}

export const makeDiff = async (
  { config, log }: Pick<Core, 'config' | 'log'>,
  content: DiffContent,
): Promise<DiffPart> => {
  const mounts = await temporaryMounts(join(config.state, 'mounts'), log);
  const workers = new Workers();
  return {
    services: [diffService({ content, mounts, workers })],
    close: () => workers.close(),
  };
};
