import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, resourceExhausted } from '../../common/errdefs.ts';
import { nowNanos } from '../../native/index.ts';
import { Digester } from './digester.ts';
import { type ContentFiles, ingestKey } from './files.ts';
import type { Ingest } from './ingest-store.ts';

/** Read at once when data is hashed again, bytes. */
const READ_BYTES = 1 << 20;

/** Mode of data that is being written, and of a blob: nobody changes it any more. */
const DATA_MODE = 0o644;
const BLOB_MODE = 0o444;

/** What the kernel says of a full disk, or a spent quota. */
const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT']);

/** The data of an ingest: appended to, and hashed on the way. Its methods must not overlap. */
export class IngestData {
  readonly path: string;
  readonly #file: FileHandle;
  #digester: Digester;
  #offset = 0;
  #updatedAt = 0n;
  #dirty = false;
  #lost = false;

  private constructor(path: string, file: FileHandle, digester: Digester) {
    this.path = path;
    this.#file = file;
    this.#digester = digester;
  }

  /** Makes it, or goes on where an earlier writer stopped: what is there is read and hashed. */
  static async open(files: ContentFiles, ingest: Ingest, algorithm: string): Promise<IngestData> {
    const directory = files.ingestPath(ingest);
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'ref'), ingestKey(ingest));
    const path = join(directory, 'data');
    const file = await open(path, constants.O_RDWR | constants.O_CREAT, DATA_MODE);
    const data = new IngestData(path, file, new Digester(algorithm));
    try {
      data.#offset = await readInto(data.#digester, file);
      data.#updatedAt = (await file.stat({ bigint: true })).mtimeNs;
      return data;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Bytes so far. */
  get offset(): number {
    return this.#offset;
  }

  /** When the last bytes came, nanoseconds since 1970. */
  get updatedAt(): bigint {
    return this.#updatedAt;
  }

  /** Of what is there. */
  get digest(): string {
    return this.#digester.digest;
  }

  /** Appends. After a failure it must only be closed: what then lies in the file is a beginning of `bytes`. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#dirty = true;
    await Promise.all([this.#append(bytes), this.#digester.update(bytes)]);
    this.#offset += bytes.length;
    this.#updatedAt = nowNanos();
  }

  /** Begins anew. */
  async truncate(): Promise<void> {
    await this.#file.truncate(0);
    this.#digester.reset();
    this.#offset = 0;
    this.#updatedAt = nowNanos();
  }

  /** Brings it to the disk, and gives its digest by this algorithm. */
  async seal(algorithm: string): Promise<string> {
    await this.#sync();
    if (algorithm !== this.#digester.algorithm) {
      // Nobody said at the beginning how it would be named.
      this.#digester = new Digester(algorithm);
      await readInto(this.#digester, this.#file);
    }
    return this.digest;
  }

  /** As a blob is. */
  async makeReadOnly(): Promise<void> {
    await this.#file.chmod(BLOB_MODE);
  }

  /** Keeps what has come, on the disk, for the next writer; nothing, if the disk did not take it. */
  async close(): Promise<void> {
    try {
      if (this.#dirty && !this.#lost) await this.#sync().catch(() => undefined);
      if (this.#lost) await rm(this.path, { force: true });
    } finally {
      await this.#file.close();
    }
  }

  /** The kernel tells of lost pages once, and then shows them as if they were on the disk: nobody may go on from them. */
  async #sync(): Promise<void> {
    try {
      await this.#file.sync();
      this.#dirty = false;
    } catch (error) {
      this.#lost = true;
      throw refusal(error);
    }
  }

  async #append(bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, this.#offset + done);
        done += bytesWritten;
      }
    } catch (error) {
      throw refusal(error);
    }
  }
}

const refusal = (error: unknown): unknown =>
  FULL.has((error as NodeJS.ErrnoException).code ?? '')
    ? resourceExhausted(`content does not fit: ${messageOf(error)}: free some space`, { cause: error })
    : error;

/** Hashes a file from its beginning; gives its length, bytes. */
const readInto = async (digester: Digester, file: FileHandle): Promise<number> => {
  const { size } = await file.stat();
  if (size === 0) return 0;
  const buffer = Buffer.allocUnsafeSlow(Math.min(size, READ_BYTES));
  for (let offset = 0; ;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
    if (bytesRead === 0) return offset;
    await digester.update(buffer.subarray(0, bytesRead));
    offset += bytesRead;
  }
};
