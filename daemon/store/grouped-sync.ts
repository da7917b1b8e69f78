import { type FileHandle, open } from 'node:fs/promises';
import { CodedError, codes, messageOf } from '../../common/errdefs.ts';

/**
 * Group commit: `run()` resolves after an fdatasync that began after the call. While one is under way, all who call
 * share the next one, so a thousand waiting replies cost one sync. It runs in the thread pool.
 */
export class GroupedSync {
  readonly #file: FileHandle;
  readonly #sync: (file: FileHandle) => Promise<void>;
  #current: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #failure: CodedError | undefined;

  private constructor(file: FileHandle, sync: (file: FileHandle) => Promise<void>) {
    this.#file = file;
    this.#sync = sync;
  }

  /** Syncing a file through any descriptor syncs what all of them wrote. `sync` is another one in tests. */
  static async open(path: string, sync = (file: FileHandle): Promise<void> => file.datasync()): Promise<GroupedSync> {
    return new GroupedSync(await open(path, 'r+'), sync);
  }

  /** Rejects with DataLoss for ever once a sync has failed: the kernel reports lost pages only once. */
  run(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#current === undefined) return this.#start();
    this.#next ??= this.#current.then(
      () => this.#startNext(),
      () => this.run(), // which tells of the failure
    );
    return this.#next;
  }

  /** Waits for the sync under way. */
  async close(): Promise<void> {
    while (this.#current !== undefined) await this.#current.catch(() => undefined);
    await this.#file.close();
  }

  #startNext(): Promise<void> {
    this.#next = undefined;
    return this.#start();
  }

  #start(): Promise<void> {
    const current = this.#sync(this.#file)
      .catch((error: unknown) => {
        this.#failure = new CodedError(codes.dataLoss, `metadata not on disk: ${messageOf(error)}`, { cause: error });
        throw this.#failure;
      })
      .finally(() => {
        if (this.#current === current) this.#current = undefined;
      });
    this.#current = current;
    return current;
  }
}
