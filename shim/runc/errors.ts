import { readFileSync } from 'node:fs';
import { type CodedError, notFound, unknownError } from '../../common/errdefs.ts';

/** Longest part of a runtime's log or output that is searched for its error, bytes from the end. */
const ERROR_BYTES_MAX = 64 << 10;

/**
 * The message of the last entry of level "error" (or worse) in a log that a runtime wrote with `--log-format json`;
 * undefined if there is none. A line that is not JSON is passed over: a runtime that was killed leaves half of one.
 */
export const lastLoggedError = (log: string): string | undefined => {
  let last: string | undefined;
  for (const line of log.split('\n')) {
    const entry = parseEntry(line);
    if (entry !== undefined && (entry.level === 'error' || entry.level === 'fatal' || entry.level === 'panic')) {
      last = entry.msg.trim();
    }
  }
  return last === '' ? undefined : last;
};

/** As lastLoggedError, of a file that may not exist. */
export const lastErrorIn = (path: string): string | undefined => {
  try {
    return lastLoggedError(readFileSync(path, 'utf8').slice(-ERROR_BYTES_MAX));
  } catch {
    return undefined; // no log, no better text: the caller still has the exit status
  }
};

/** Why a runtime's process did not do what it was told. `detail` is the runtime's own text, unadorned. */
export class RuntimeFailure extends Error {
  readonly detail: string;

  constructor(detail: string, options?: ErrorOptions) {
    super(detail, options);
    this.name = 'RuntimeFailure';
    this.detail = detail;
  }
}

/** `OCI runtime create failed: runc's own words`, with code Unknown, as containerd's clients know it. */
export const runtimeError = (what: string, error: unknown): CodedError =>
  unknownError(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });

/** What a failed kill means to a client. The texts are runc's, crun's and the kernel's. */
export const killError = (error: unknown): CodedError => {
  const text = error instanceof Error ? error.message : String(error);
  if (/process already finished|container not running|is not running|no such process/i.test(text))
    return processFinished();
  if (text.includes('does not exist')) return notFound('no such container', undefined, { cause: error });
  return runtimeError('unknown error after kill', error);
};

export const processFinished = (): CodedError => notFound('process already finished');

/** True of the error that a runtime gives for a container it does not know (any more). */
export const isUnknownContainer = (error: unknown): boolean =>
  error instanceof Error && error.message.includes('does not exist');

const parseEntry = (line: string): { level: string; msg: string } | undefined => {
  if (!line.startsWith('{')) return undefined;
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== 'object' || entry === null || !('level' in entry) || !('msg' in entry)) return undefined;
    return { level: String(entry.level), msg: String(entry.msg) };
  } catch {
    return undefined;
  }
};
