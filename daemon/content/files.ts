import { createHash } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from '../../common/atomic-file.ts';
import { digestFault, splitDigest } from '../../common/digest.ts';
import type { Ingest } from './ingest-store.ts';

/** Where blobs and ingests lie: as containerd lays them out, so that its tools find their way. */
export class ContentFiles {
  readonly root: string;
  readonly #made = new Map<string, Promise<void>>();

  /** `root`: the daemon's. */
  constructor(root: string) {
    this.root = join(root, 'io.containerd.content.v1.content');
  }

  /** `digest` must be one without a fault: it becomes a path. */
  blobPath(digest: string): string {
    const { algorithm, hex } = splitDigest(digest);
    return join(this.root, 'blobs', algorithm, hex);
  }

  /** An ingest's directory: `data` is what has come so far, `ref` says whose it is. */
  ingestPath(ingest: Ingest): string {
    return join(this.root, 'ingest', ingestName(ingest));
  }

  /** Makes a file that is on the disk the blob of this digest. The name is on the disk when it resolves. */
  async install(data: string, digest: string): Promise<void> {
    const path = this.blobPath(digest);
    await this.#directory(dirname(path));
    await rename(data, path); // over one that is there: it holds the same
    await syncDirectory(dirname(path));
  }

  async removeBlob(digest: string): Promise<void> {
    await rm(this.blobPath(digest), { force: true });
  }

  async removeIngest(ingest: Ingest): Promise<void> {
    await this.removeIngestDirectory(ingestName(ingest));
  }

  async removeIngestDirectory(name: string): Promise<void> {
    await rm(join(this.root, 'ingest', name), { recursive: true, force: true });
  }

  /** Digests of the blobs that lie here. Whatever else does is passed over. */
  async blobs(): Promise<string[]> {
    const algorithms = await entries(join(this.root, 'blobs'));
    const digests = await Promise.all(
      algorithms.map(async (algorithm) =>
        (await entries(join(this.root, 'blobs', algorithm))).map((hex) => `${algorithm}:${hex}`),
      ),
    );
    return digests.flat().filter((digest) => digestFault(digest) === undefined);
  }

  ingestDirectories(): Promise<string[]> {
    return entries(join(this.root, 'ingest'));
  }

  /** Makes a directory for blobs once; its name, and those above it, are on the disk when it resolves. */
  #directory(path: string): Promise<void> {
    const made = this.#made.get(path);
    if (made !== undefined) return made;
    const making = (async () => {
      await mkdir(path, { recursive: true });
      for (const above of [dirname(path), this.root, dirname(this.root)]) await syncDirectory(above);
    })();
    this.#made.set(path, making);
    making.catch(() => this.#made.delete(path)); // the next one tries again
    return making;
  }
}

/** What an ingest is called below the namespaces; also the text of its `ref` file. */
export const ingestKey = ({ id, namespace, ref }: Ingest): string => `${id}/${namespace}/${ref}`;

/** Name of an ingest's directory: a reference may hold anything. */
export const ingestName = (ingest: Ingest): string => createHash('sha256').update(ingestKey(ingest)).digest('hex');

const entries = async (path: string): Promise<string[]> => {
  try {
    return await readdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []; // nothing was written yet
    throw error;
  }
};
