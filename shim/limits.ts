import { readFileSync } from 'node:fs';
import { NOFILE_SOFT_VARIABLE } from '../common/bootstrap.ts';
import { getResourceLimit, setResourceLimit } from '../native/index.ts';

/**
 * Puts back the soft limit of open files that Node raised at its start, so that runtimes and containers inherit what
 * they would from any other shim. The launcher says what it was; without it the parent's limit is the best guess.
 */
export const restoreOpenFilesLimit = (): void => {
  const { soft, hard } = getResourceLimit('nofile');
  const original = originalOpenFilesLimit();
  if (original !== undefined && original < soft) setResourceLimit('nofile', { soft: original, hard });
};

/** The soft limit of open files that this process was started with, as far as it can be known. */
export const originalOpenFilesLimit = (): bigint | undefined =>
  parseLimit(process.env[NOFILE_SOFT_VARIABLE]) ?? parentLimit();

const parentLimit = (): bigint | undefined => {
  try {
    const limits = readFileSync(`/proc/${process.ppid}/limits`, 'utf8');
    return parseLimit(/^Max open files\s+(\S+)/m.exec(limits)?.[1]);
  } catch {
    return undefined; // the parent is gone: what we have is all we know
  }
};

const parseLimit = (text: string | undefined): bigint | undefined =>
  text !== undefined && /^\d+$/.test(text) ? BigInt(text) : undefined;
