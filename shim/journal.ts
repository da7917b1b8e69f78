import { closeSync, constants, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError, codes, resourceExhausted, unavailable } from '../common/errdefs.ts';
import { allocateNow } from '../native/index.ts';

/**
 * Size of an exit record, bytes, fixed so that it can be allocated before the process is. Two identifiers of 76
 * characters, three numbers and the JSON around them take less than 400.
 */
export const RECORD_BYTES = 512;

/** How a process ended. Written before anybody is told. */
export interface ExitRecord {
  readonly id: string;
  /** Empty: the container's first process. */
  readonly execId: string;
  readonly pid: number;
  /** 0–255; 128 and the signal's number for a process that was killed. */
  readonly status: number;
  /** Nanoseconds since 1970. */
  readonly exitedAt: bigint;
  /** Its event's place in the outbox; 0n: not there yet. */
  readonly sequence: bigint;
}

/**
 * The place of one process's exit record, `<bundle>/exits/init` or `<bundle>/exits/exec-<id>`. It is allocated when the
 * process is created, so that a file system that has filled up since cannot swallow the exit.
 */
export class ExitJournal {
  readonly #path: string;
  readonly #fd: number;

  private constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
  }

  /** Makes room for one record; ResourceExhausted if there is none, and nothing is left behind. */
  static reserve(bundle: string, execId: string): ExitJournal {
    const path = journalPath(bundle, execId);
    mkdirSync(join(bundle, 'exits'), { recursive: true, mode: 0o700 });
    try {
      const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC, 0o600);
      try {
        reserveBytes(fd);
        return new ExitJournal(path, fd);
      } catch (error) {
        closeSync(fd);
        rmSync(path, { force: true });
        throw error;
      }
    } catch (error) {
      throw noRoom(error) ? resourceExhausted(`no room for an exit record in ${bundle}`, { cause: error }) : error;
    }
  }

  /** The record place of a process that an earlier life of the shim created; a missing one is made anew. */
  static reopen(bundle: string, execId: string): ExitJournal {
    const path = journalPath(bundle, execId);
    try {
      return new ExitJournal(path, openSync(path, constants.O_RDWR));
    } catch {
      return ExitJournal.reserve(bundle, execId);
    }
  }

  /** Replaces the record. Synchronous: whoever is told afterwards may rely on it. */
  write(record: ExitRecord): void {
    const text = JSON.stringify(record, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
    const written = writeSync(this.#fd, `${text.padEnd(RECORD_BYTES - 1)}\n`, 0);
    if (written !== RECORD_BYTES) throw unavailable(`exit record of ${record.id} was cut to ${written} bytes`);
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** The record is not wanted any more. */
  remove(): void {
    this.close();
    rmSync(this.#path, { force: true });
  }
}

/** The exit record of a process, if it has ended and its record is whole. Also for those who are not its shim. */
export const readExitRecord = (bundle: string, execId: string): ExitRecord | undefined => {
  try {
    const raw: Record<string, unknown> = JSON.parse(
      readFileSync(journalPath(bundle, execId), 'utf8').replaceAll('\0', ''),
    );
    if (typeof raw['status'] !== 'number' || typeof raw['exitedAt'] !== 'string') return undefined;
    return {
      id: String(raw['id']),
      execId: typeof raw['execId'] === 'string' ? raw['execId'] : '',
      pid: Number(raw['pid']),
      status: raw['status'],
      exitedAt: BigInt(raw['exitedAt']),
      sequence: BigInt(typeof raw['sequence'] === 'string' ? raw['sequence'] : 0),
    };
  } catch {
    return undefined; // absent, allocated only, or cut: the process has not ended as far as the journal knows
  }
};

const journalPath = (bundle: string, execId: string): string =>
  join(bundle, 'exits', execId === '' ? 'init' : `exec-${execId}`);

const reserveBytes = (fd: number): void => {
  try {
    allocateNow(fd, 0, RECORD_BYTES);
  } catch (error) {
    // A file system without fallocate: zeros take the place as well.
    if (!(error instanceof CodedError) || error.code !== codes.unimplemented) throw error;
    writeSync(fd, Buffer.alloc(RECORD_BYTES), 0, RECORD_BYTES, 0);
  }
};

const noRoom = (error: unknown): boolean =>
  (error instanceof CodedError && error.code === codes.resourceExhausted) ||
  (error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT'));
