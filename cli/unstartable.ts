import { messageOf } from '../common/errdefs.ts';
import { Failure } from './failure.ts';

/** Exit statuses of a command that could not be run. Source: POSIX shells, and Docker. */
const CANNOT_INVOKE = 126;
const NOT_FOUND = 127;

/** What to throw for an error of a start: with the exit status that a shell would give, if the command was at fault. */
export const unstartable = (error: unknown): unknown => {
  const status = startStatus(messageOf(error));
  return status === undefined ? error : new Failure(messageOf(error), { cause: error, status });
};

/**
 * What a shell would give; undefined if it was not about the command. The runtimes' words: `exec: "x": executable file
 * not found in $PATH`, `exec: "/x": stat /x: no such file or directory`, `exec: "/etc": is a directory`,
 * `exec /x: exec format error`.
 */
export const startStatus = (message: string): number | undefined => {
  const [, reason] = /\bexec:? "?[^\s"]+"?: (.*)/s.exec(message) ?? [];
  if (reason === undefined) return undefined;
  if (/executable file not found|no such file or directory/.test(reason)) return NOT_FOUND;
  return /permission denied|is a directory|exec format error|not a directory/.test(reason) ? CANNOT_INVOKE : undefined;
};
