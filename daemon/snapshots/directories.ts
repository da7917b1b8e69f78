import { chmod, lstat, mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../../common/atomic-file.ts';
import { failedPrecondition } from '../../common/errdefs.ts';
import type { FileWorkers } from './file-workers.ts';

/** Nobody but root looks into what images bring along: there are setuid programs among it. */
const PRIVATE_MODE = 0o700;

/** A directory that is not finished, and one that is. */
const NAME = /^(?:new-)?(\d+)$/;

/** The directories of one snapshotter, each named by its snapshot's id: `<root>/snapshots/<id>`. */
export class Directories {
  readonly #parent: string;
  readonly #workers: FileWorkers;

  constructor(root: string, workers: FileWorkers) {
    this.#parent = join(root, 'snapshots');
    this.#workers = workers;
  }

  path(id: bigint): string {
    return join(this.#parent, String(id));
  }

  /** Before anything else. */
  async prepare(): Promise<void> {
    await mkdir(this.#parent, { recursive: true, mode: PRIVATE_MODE });
    await chmod(this.#parent, PRIVATE_MODE);
  }

  /** Makes a directory, whole or not at all; `fill` is given its path until then. On the disk when it resolves. */
  async make(id: bigint, fill: (path: string) => Promise<void>): Promise<void> {
    const unfinished = join(this.#parent, `new-${id}`);
    await mkdir(unfinished, { mode: PRIVATE_MODE });
    await fill(unfinished);
    await syncDirectory(unfinished);
    await rename(unfinished, this.path(id));
    await syncDirectory(this.#parent);
  }

  /** Both forms of it, as far as they are there. */
  async remove(id: bigint): Promise<void> {
    await this.#workers.run({ verb: 'remove', path: this.path(id) });
    await this.#workers.run({ verb: 'remove', path: join(this.#parent, `new-${id}`) });
  }

  /** Ids of those that are there, finished or not. What has another name is not ours. */
  async list(): Promise<bigint[]> {
    const ids = (await readdir(this.#parent)).map((name) => NAME.exec(name)?.[1]).filter((id) => id !== undefined);
    return [...new Set(ids)].map(BigInt);
  }
}

/** Owner and mode of a parent's directory. Throws FailedPrecondition that says what to do if somebody took it away. */
export const ownerAndMode = async (
  path: string,
): Promise<{ readonly uid: number; readonly gid: number; readonly mode: number }> => {
  try {
    const { uid, gid, mode } = await lstat(path);
    return { uid, gid, mode: mode & 0o7777 };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw failedPrecondition(
      `failed to stat parent: ${path} is missing: remove the snapshot it belongs to and unpack the image again`,
      { cause: error },
    );
  }
};
