import { isAbsolute } from 'node:path';
import { invalidArgument } from '../../common/errdefs.ts';

/**
 * Where a process's stdio goes, as Create and Exec are told: empty is /dev/null; a path is a FIFO that exists;
 * `file://PATH` is appended to; `binary://PROGRAM?name=value` is a logger that the shim starts. All on the machine of
 * the daemon. With a terminal there is no stderr: both outputs are one stream.
 */
export interface StdioPaths {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** The file that `file://PATH` names; undefined for anything else. */
export const filePath = (uri: string): string | undefined => {
  const path = /^file:\/\/(\/[^?#]*)/.exec(uri)?.[1];
  try {
    return path === undefined ? undefined : decodeURIComponent(path);
  } catch {
    return undefined; // no URI after all
  }
};

/** Nothing is read, and what is written is dropped. */
export const nullStdio: StdioPaths = { stdin: '', stdout: '', stderr: '', terminal: false };

/**
 * Output is appended to one file, in the order in which it was written; `stdin` is a FIFO (default: no input). One file for both streams:
 * containerd's own shim takes no second one, and two files would lose the order.
 */
export const fileStdio = (
  path: string,
  options: { readonly terminal?: boolean; readonly stdin?: string } = {},
): StdioPaths => {
  if (!isAbsolute(path)) throw invalidArgument(`log file ${path} is not an absolute path`);
  const url = `file://${path.split('/').map(encodeURIComponent).join('/')}`;
  const terminal = options.terminal ?? false;
  return { stdin: options.stdin ?? '', stdout: url, stderr: terminal ? '' : url, terminal };
};
