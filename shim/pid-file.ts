import { readFileSync } from 'node:fs';
import { unknownError } from '../common/errdefs.ts';
import { type ProcessIdentity, startTimeOf } from './proc.ts';

/** The process that a runtime has written into its pid file, a zombie too. */
export const readPidFile = (path: string): ProcessIdentity => {
  const identity = peekPidFile(path);
  if (identity === undefined) throw unknownError(`failed to retrieve OCI runtime container pid from ${path}`);
  return identity;
};

/** As readPidFile; undefined where there is no file, or no such process (any more). */
export const peekPidFile = (path: string): ProcessIdentity | undefined => {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    const startTime = Number.isSafeInteger(pid) && pid > 0 ? startTimeOf(pid) : undefined;
    return startTime === undefined ? undefined : { pid, startTime };
  } catch {
    return undefined;
  }
};
