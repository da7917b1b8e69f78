import { canceled, failedPrecondition, isNotFound, messageOf, notFound } from '../common/errdefs.ts';
import type { ShimIdentity } from '../common/bootstrap.ts';
import { exitStatus, nowNanos, type ProcessExit } from '../native/index.ts';
import { taskEvents } from './events.ts';
import type { Reaper, ProcessWatch } from './exits.ts';
import { type Fds, type ProcessIo, resumeIo } from './io/process-io.ts';
import { ExitJournal, readExitRecord } from './journal.ts';
import type { ProcessDocument } from './ledger.ts';
import type { Log } from './log.ts';
import type { Outbox } from './outbox.ts';
import type { ProcessIdentity } from './proc.ts';
import { processFinished } from './runc/errors.ts';

/** Exit status of a process whose status nobody can know. Source: containerd reports the same for a lost task. */
export const UNKNOWN_STATUS = 255;
/** How often, and how many ms apart, a new shim looks what became of a start that an earlier one was having made. */
export const ADOPT_TRIES = 40;
export const ADOPT_RETRY_MS = 50;
/** How long copied output (terminals, pipes) may take to reach its reader before a Delete closes it, ms. */
const DRAIN_MS = 2_000;
/** Highest signal number of Linux. */
const SIGNAL_MAX = 64;

/** What a container and its processes use of the shim. */
export interface ShimParts {
  readonly identity: ShimIdentity;
  readonly log: Log;
  readonly outbox: Outbox;
  readonly reaper: Reaper;
  /** Owns what goes on behind a call's back; a failure is logged with `what`. */
  background(what: string, work: Promise<unknown>): void;
  /** Writes the ledger. Synchronous. */
  save(): void;
}

export interface Stdio {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** How and when a process has ended. */
export interface End {
  readonly status: number;
  /** Nanoseconds since 1970. */
  readonly exitedAt: bigint;
}

export interface Exit extends End {
  /** Its event's place in the outbox; 0n: there is none. */
  readonly sequence: bigint;
}

/** What the first process of a container and those added later have in common. */
export abstract class Process {
  readonly id: string;
  /** Empty: the container's first process. */
  readonly execId: string;
  readonly stdio: Stdio;
  protected readonly parts: ShimParts;
  protected identity: ProcessIdentity | undefined;
  protected watch: ProcessWatch | undefined;
  protected io: ProcessIo | undefined;
  protected journal: ExitJournal | undefined;
  #exit: Exit | undefined;
  readonly #exited = Promise.withResolvers<Exit>();

  constructor(parts: ShimParts, key: { readonly id: string; readonly execId: string }, stdio: Stdio) {
    this.parts = parts;
    this.id = key.id;
    this.execId = key.execId;
    this.stdio = stdio;
  }

  /** 0 before there is a process. */
  get pid(): number {
    return this.identity?.pid ?? 0;
  }

  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** Resolves when the exit has been recorded. */
  get exited(): Promise<Exit> {
    return this.#exited.promise;
  }

  /** Waits for the exit, or for the caller to go away. */
  async wait(signal: AbortSignal): Promise<Exit> {
    if (this.#exit !== undefined) return this.#exit;
    const { promise: gone, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => reject(canceled('wait', { cause: signal.reason }));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal.aborted) onAbort();
      return await Promise.race([this.#exited.promise, gone]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Signals this process and no other, without the runtime. */
  protected signal(signal: number): void {
    if (signal < 0 || signal > SIGNAL_MAX) throw failedPrecondition(`unknown signal ${signal}`);
    if (this.#exit !== undefined) throw processFinished();
    if (this.watch === undefined) throw this.pid === 0 ? failedPrecondition('process not created') : processFinished();
    try {
      this.watch.send(signal);
    } catch (error) {
      throw isNotFound(error) ? processFinished() : error;
    }
  }

  /** Descriptors of its stdio that another process would need from us, by name. */
  get keepsakes(): Fds {
    return this.io?.keepsakes ?? {};
  }

  /** All descriptors of its stdio. */
  get descriptors(): Fds {
    return this.io?.snapshot().fds ?? {};
  }

  resize(columns: number, rows: number): void {
    this.io?.resize(columns, rows);
  }

  closeStdin(): void {
    this.io?.closeStdin();
  }

  /** Waits for the end of a process that a runtime has made; it may have come already. */
  protected startWatching(identity: ProcessIdentity): void {
    this.watch = this.parts.reaper.watch(identity, (exit) => this.finish(this.#recordEnd(exit)));
  }

  /** The process has ended, which is written down but not known to anybody: sees to it that `announce` is called. */
  protected abstract finish(end: End): void;

  /** Takes up what an earlier life of the shim knew of this process; true if the process is alive and ours to watch. */
  protected async takeUp(
    document: ProcessDocument,
    bundle: string,
    fds: Readonly<Record<string, number>>,
  ): Promise<boolean> {
    const { log, outbox } = this.parts;
    const { pid, exit } = document;
    const identity = { pid, startTime: BigInt(document.startTime) };
    if (pid > 0) this.identity = identity;
    this.journal = ExitJournal.reopen(bundle, this.execId);
    if (document.io !== undefined) {
      this.io = await resumeIo(document.io, fds).catch((error: unknown) => {
        log.error('stdio is lost', { id: this.id, exec: this.execId, error });
        return undefined;
      });
    }
    if (exit !== undefined) {
      const known = { status: exit.status, exitedAt: BigInt(exit.exitedAt), sequence: BigInt(exit.sequence) };
      this.settle(known);
      const { topic, payload } = taskEvents.exit({ id: this.id, execId: this.execId, pid, ...known });
      if (known.sequence > 0n) outbox.restore(known.sequence, topic, payload);
      this.releaseWhenAcknowledged(known);
      return false;
    }
    if (pid === 0) return false;
    const record = readExitRecord(bundle, this.execId);
    if (record?.pid === pid) {
      this.finish(record);
      return false;
    }
    return this.watchOrFinish(identity);
  }

  /** Watches a process of an earlier life; one that is gone has ended, nobody knows how (false). */
  protected watchOrFinish(identity: ProcessIdentity): boolean {
    try {
      this.startWatching(identity);
      return true;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      this.finish(this.#recordEnd(undefined));
      return false;
    }
  }

  /**
   * Makes an exit known: record, ledger, event, those who wait; in this order and without a pause. `enter` changes the
   * state, so that nobody who has seen the event finds the process running.
   */
  protected announce(end: End, enter: () => void): void {
    const { outbox } = this.parts;
    const exit: Exit = { status: end.status, exitedAt: end.exitedAt, sequence: outbox.next };
    const recorded = this.#write(exit);
    enter();
    this.settle(exit);
    this.parts.save();
    const { topic, payload } = taskEvents.exit({ id: this.id, execId: this.execId, pid: this.pid, ...exit });
    outbox.append(topic, payload, recorded ? {} : { unrecorded: true });
    this.releaseWhenAcknowledged(exit);
  }

  /** Sets the exit and wakes those who wait for it. */
  protected settle(exit: Exit): void {
    this.#exit = exit;
    this.#exited.resolve(exit);
  }

  /** Readers of the output see its end only once the daemon can say how the process ended. */
  protected releaseWhenAcknowledged(exit: Exit): void {
    void this.parts.outbox.whenAcknowledged(exit.sequence).then(() => this.io?.release());
  }

  /** The process is being deleted: what it has written is handed on first. */
  protected async drainIo(): Promise<void> {
    await this.io?.drained(DRAIN_MS);
  }

  async closeIo(): Promise<void> {
    await this.io?.close();
    this.io = undefined;
  }

  protected document(): ProcessDocument {
    const { identity, io } = this;
    return {
      ...this.stdio,
      pid: this.pid,
      startTime: String(identity?.startTime ?? 0n),
      ...(io === undefined ? {} : { io: io.snapshot().document }),
      ...(this.#exit === undefined
        ? {}
        : { exit: { ...this.#exit, exitedAt: String(this.#exit.exitedAt), sequence: String(this.#exit.sequence) } }),
    };
  }

  /** Writes an exit down before anything else is done about it: a crash from here on cannot lose it. */
  #recordEnd(exit: ProcessExit | undefined): End {
    const end = { status: exit === undefined ? UNKNOWN_STATUS : exitStatus(exit), exitedAt: nowNanos() };
    this.#write({ ...end, sequence: 0n });
    return end;
  }

  #write(exit: Exit): boolean {
    try {
      if (this.journal === undefined) throw notFound('exit record');
      this.journal.write({ id: this.id, execId: this.execId, pid: this.pid, ...exit });
      return true;
    } catch (error) {
      this.parts.log.error('exit is not recorded', { id: this.id, exec: this.execId, reason: messageOf(error) });
      return false;
    }
  }
}
