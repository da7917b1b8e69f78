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

/** Nothing is read, and what is written is dropped. */
export const nullStdio: StdioPaths = { stdin: '', stdout: '', stderr: '', terminal: false };

/**
 * Output is appended to one file, in the order in which it was written; there is no input. One file for both streams:
 * containerd's own shim takes no second one, and two files would lose the order.
 */
export const fileStdio = (path: string, options: { readonly terminal?: boolean } = {}): StdioPaths => {
  if (!isAbsolute(path)) throw invalidArgument(`log file ${path} is not an absolute path`);
  const url = `file://${path.split('/').map(encodeURIComponent).join('/')}`;
  const terminal = options.terminal ?? false;
  return { stdin: '', stdout: url, stderr: terminal ? '' : url, terminal };
};
