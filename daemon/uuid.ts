import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from '../common/atomic-file.ts';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The name of this root among all daemons: made once, then kept. What is no UUID (a cut write) is replaced. */
export const serverUuid = (root: string): string => {
  const path = join(root, 'uuid');
  const kept = read(path);
  if (kept !== undefined && UUID.test(kept)) return kept;
  const made = randomUUID();
  replaceFile(path, made, { mode: 0o644, sync: true });
  return made;
};

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
};
