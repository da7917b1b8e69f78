import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { about, CodedError, failedPrecondition } from '../common/errdefs.ts';
import { nowNanos } from '../native/index.ts';
import { taskEvents } from './events.ts';
import { openIo } from './io/process-io.ts';
import { ExitJournal } from './journal.ts';
import type { ExecDocument, RuntimeOptions } from './ledger.ts';
import { peekPidFile, readPidFile } from './pid-file.ts';
import {
  ADOPT_RETRY_MS,
  ADOPT_TRIES,
  type End,
  type Exit,
  Process,
  type ShimParts,
  type Stdio,
  UNKNOWN_STATUS,
} from './process.ts';
import { type ExecState, nextExecState } from './process-state.ts';
import { runtimeError } from './runc/errors.ts';
import type { Runc } from './runc/runc.ts';
import { withTerminal } from './spec.ts';

/** What an exec needs to know of its container. */
export interface ExecParent {
  readonly bundle: string;
  readonly options: RuntimeOptions;
  readonly runc: Runc;
  /** SELinux label of the container's processes; empty: none. */
  readonly selinuxLabel: string;
  /** The container's first process has ended: nothing can be started beside it. */
  readonly ended: boolean;
  /** Tells of an OOM before the exit that it may have caused. */
  checkOom(): void;
}

/** A process that was added to a container. */
export class Exec extends Process {
  readonly #parent: ExecParent;
  #spec: string | undefined;
  #state: ExecState = 'created';
  #starting: Promise<void> | undefined;
  #launching = false;

  constructor(
    parts: ShimParts,
    parent: ExecParent,
    key: { readonly id: string; readonly execId: string },
    stdio: Stdio,
  ) {
    super(parts, key, stdio);
    this.#parent = parent;
  }

  /** `spec` is the JSON of an OCI Process. ResourceExhausted if there is no room to record how it will end. */
  prepare(spec: string): void {
    this.#spec = withTerminal(spec, this.stdio.terminal);
    this.journal = ExitJournal.reserve(this.#parent.bundle, this.execId);
  }

  get state(): ExecState {
    return this.#state;
  }

  /** Resolves when a start that is under way has come to its end, good or bad. */
  get settled(): Promise<void> {
    return this.#starting ?? Promise.resolve();
  }

  async start(signal: AbortSignal): Promise<number> {
    const running = nextExecState(this.#state, 'start');
    if (this.#parent.ended) throw failedPrecondition(`container ${this.id} init process is not running`);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#starting = promise;
    // Held until the watch has begun: the process may end before the runtime has told us its pid.
    using _expected = this.parts.reaper.expect();
    // A shim that takes over from us looks for what the runtime has made.
    this.#launching = true;
    this.parts.save();
    try {
      await this.#launch(signal);
      this.#state = running;
      this.#launching = false;
      this.parts.save();
      const { topic, payload } = taskEvents.execStarted(this.id, this.execId, this.pid);
      this.parts.outbox.append(topic, payload);
      if (this.identity !== undefined) this.startWatching(this.identity);
      return this.pid;
    } catch (error) {
      await this.#fail();
      throw error;
    } finally {
      this.#starting = undefined;
      resolve();
    }
  }

  kill(signal: number): void {
    this.signal(signal);
  }

  /** Forgets the process; gives what a Delete answers. */
  async delete(): Promise<Exit & { readonly pid: number }> {
    const deleted = nextExecState(this.#state, 'delete');
    await this.drainIo();
    await this.closeIo();
    this.#state = deleted;
    this.journal?.remove();
    this.journal = undefined;
    rmSync(this.#pidFile, { force: true });
    return { pid: this.pid, status: this.exit?.status ?? 0, exitedAt: this.exit?.exitedAt ?? 0n, sequence: 0n };
  }

  snapshot(): ExecDocument {
    const spec = this.#spec === undefined ? {} : { spec: this.#spec };
    return { ...this.document(), state: this.#state, ...(this.#launching ? { starting: true } : {}), ...spec };
  }

  /** Takes up an exec of an earlier life of the shim. */
  async adopt(document: ExecDocument, fds: Readonly<Record<string, number>>): Promise<void> {
    this.#state = document.state;
    this.#spec = document.spec;
    await this.takeUp(document, this.#parent.bundle, fds);
    if (document.starting === true) this.parts.background('exec', this.#adoptStart());
  }

  /** The shim before us ended while the runtime was at work, which goes on by itself: its pid file says what came of it. */
  async #adoptStart(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#starting = promise;
    this.#launching = true;
    try {
      for (let tries = 0; tries < ADOPT_TRIES && this.identity === undefined; tries += 1) {
        if (tries > 0) await new Promise((again) => setTimeout(again, ADOPT_RETRY_MS));
        this.identity = peekPidFile(this.#pidFile);
      }
      if (this.identity === undefined) return await this.#fail();
      this.#state = nextExecState(this.#state, 'start');
      this.#launching = false;
      this.#spec = undefined;
      this.parts.save();
      const { topic, payload } = taskEvents.execStarted(this.id, this.execId, this.pid);
      this.parts.outbox.append(topic, payload);
      this.watchOrFinish(this.identity);
    } finally {
      this.#starting = undefined;
      resolve();
    }
  }

  protected finish(end: End): void {
    this.#parent.checkOom();
    this.announce(end, () => {
      this.#state = nextExecState(this.#state, 'exit');
    });
  }

  async #launch(signal: AbortSignal): Promise<void> {
    const { bundle, options, runc, selinuxLabel } = this.#parent;
    const { namespace, stdio } = this.parts.identity;
    const key = { namespace, id: this.id, execId: this.execId };
    const owner = { uid: options.ioUid, gid: options.ioGid, selinux: selinuxLabel !== '' };
    const request = { ...this.stdio, ...key, ...owner, bundle, pipes: stdio === 'pipe', restored: false };
    this.io = await openIo(request, signal).catch((error: unknown) => {
      throw about('failed to create init process I/O', error);
    });
    const processFile = join(bundle, `exec-${this.execId}.json`);
    rmSync(this.#pidFile, { force: true });
    writeFileSync(processFile, this.#spec ?? '{}', { mode: 0o600 });
    try {
      const call = { processFile, pidFile: this.#pidFile, consoleSocket: this.io.consoleSocket };
      await runc.exec(this.id, call, this.io.stdio, signal);
    } catch (error) {
      this.identity = peekPidFile(this.#pidFile); // cut short, it may have left a process
      throw error instanceof CodedError ? error : runtimeError('OCI runtime exec failed', error);
    } finally {
      rmSync(processFile, { force: true });
    }
    this.identity = readPidFile(this.#pidFile);
    await this.io.started(signal);
    this.#spec = undefined;
  }

  /** No process came of it, or one that must not stay: whoever waits learns that, and Delete is all that is left. */
  async #fail(): Promise<void> {
    if (this.identity !== undefined) await this.parts.reaper.destroy(this.identity);
    await this.io?.close().catch((error: unknown) => this.parts.log.warn('stdio of a failed exec', { error }));
    this.io = undefined;
    this.#state = nextExecState(this.#state, 'fail');
    this.#launching = false;
    this.settle({ status: UNKNOWN_STATUS, exitedAt: nowNanos(), sequence: 0n });
    this.parts.save();
  }

  get #pidFile(): string {
    // Prefixed: an exec may well be called `init`.
    return join(this.#parent.bundle, `exec-${this.execId}.pid`);
  }
}
