import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { about } from '../../common/errdefs.ts';
import type { StdioPaths } from './stdio.ts';

const run = promisify(execFile);

/** Where root's FIFOs lie; tmpfs, and no place that something tidies up. Others: the directory for temporary files. */
export const FIFO_DIRECTORY = '/run/holdfast/fifo';

/** Which FIFOs to make. */
export interface FifoOptions {
  /** Of the container or exec; part of the names. */
  readonly id: string;
  readonly stdin: boolean;
  /** Default: stdout, and without a terminal stderr. `none`: the output goes elsewhere. */
  readonly output?: 'none';
  readonly terminal: boolean;
  /** Below which a directory is made. */
  readonly directory?: string;
}

/**
 * FIFOs in a directory of their own, mode 0700; disposing removes it.
 *
 * Node cannot make a FIFO, and a library should not bring an addon along for that, so coreutils' `mkfifo` makes all of
 * them in one go: 1.6 ms (median of 40), beside some 60 ms that starting a container takes. The other way, a file that
 * is appended to and followed, needs no FIFO but gives neither stdin nor terminal, grows with the output and lets a
 * container run ahead of its reader.
 */
export class FifoDirectory implements Disposable {
  readonly paths: StdioPaths;
  readonly #path: string;

  private constructor(path: string, paths: StdioPaths) {
    this.#path = path;
    this.paths = paths;
  }

  static async make(options: FifoOptions): Promise<FifoDirectory> {
    const path = makeDirectory(options.directory);
    const name = (stream: string, wanted: boolean): string => (wanted ? join(path, `${options.id}-${stream}`) : '');
    const directory = new FifoDirectory(path, {
      stdin: name('stdin', options.stdin),
      stdout: name('stdout', options.output !== 'none'),
      stderr: name('stderr', options.output !== 'none' && !options.terminal),
      terminal: options.terminal,
    });
    const { stdin, stdout, stderr } = directory.paths;
    try {
      await run('mkfifo', ['-m', '600', '--', ...[stdin, stdout, stderr].filter((fifo) => fifo !== '')]);
    } catch (error) {
      directory[Symbol.dispose]();
      throw about(`make FIFOs in ${path}`, error);
    }
    return directory;
  }

  [Symbol.dispose](): void {
    rmSync(this.#path, { recursive: true, force: true });
  }
}

/**
 * Removes the directory that `FifoDirectory` made for a process and somebody left there; anything else is not touched.
 * For when the process is gone.
 */
export const removeFifos = ({ stdin, stdout }: StdioPaths): void => {
  for (const path of [stdin, stdout]) {
    if (dirname(dirname(path)) === FIFO_DIRECTORY) rmSync(dirname(path), { recursive: true, force: true });
  }
};

const makeDirectory = (chosen: string | undefined): string => {
  const parent =
    chosen ?? (process.getuid?.() === 0 ? FIFO_DIRECTORY : join(tmpdir(), `holdfast-fifo-${process.getuid?.()}`));
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  return mkdtempSync(`${parent}/`);
};
