import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { CodedError, codeOf, codes, notFound } from '../common/errdefs.ts';
import type { Mount } from '../proto/gen/containerd/types/types.ts';
import { type OomWatch, watchOom } from './cgroup/oom.ts';
import { type CgroupPaths, cgroupPaths, fromDocument, toDocument } from './cgroup/paths.ts';
import { readStats } from './cgroup/stats.ts';
import type { Any } from '../proto/gen/google/protobuf/any.ts';
import { type TaskEvent, taskEvents } from './events.ts';
import { launch, type LaunchConfig, renamed, restore } from './launch.ts';
import type { ContainerDocument } from './ledger.ts';
import { ADOPT_RETRY_MS, ADOPT_TRIES, type End, type Exit, Process, type ShimParts } from './process.ts';
import { type InitEvent, type InitState, nextInitState } from './process-state.ts';
import { unmountRootfs } from './rootfs.ts';
import { isUnknownContainer, killError, processFinished } from './runc/errors.ts';
import { within } from './within.ts';

/** How long an exit waits for a start under way, and for the exits of the execs that it takes along, ms. */
const EXIT_ORDER_MS = 5_000;
/** How long a Delete waits for a process that it has killed, ms. */
const DELETE_EXIT_MS = 10_000;
const SIGKILL = 9;

export interface InitConfig extends LaunchConfig {
  /** Resolves when no process that was added beside this one is left, or about to come. */
  readonly execsEnded: () => Promise<unknown>;
}

/** The first process of a container; its life is the container's. */
export class Init extends Process {
  readonly #config: InitConfig;
  #state: InitState;
  #pausing = false;
  #ended = false;
  #rootfsMounted = false;
  #starting: Promise<void> | undefined;
  /** The runtime may have started the process though nobody has said so. */
  #launching = false;
  #oom: Promise<OomWatch | undefined> = Promise.resolve(undefined);
  #oomWatch: OomWatch | undefined;
  /** Those that the runtime has made; the process may move to others below them. */
  #cgroups: CgroupPaths | undefined;

  constructor(parts: ShimParts, config: InitConfig) {
    super(parts, { id: config.id, execId: '' }, config.stdio);
    this.#config = config;
    this.#state = config.checkpoint === '' ? 'created' : 'restorable';
  }

  get state(): InitState | 'pausing' {
    return this.#pausing && this.#state === 'running' ? 'pausing' : this.#state;
  }

  /** The process has ended, though that may not have been announced yet. */
  get ended(): boolean {
    return this.#ended || this.#state === 'stopped' || this.#state === 'deleted';
  }

  /** The state after `event`; fails as the state machine says where it may not happen now. */
  allow(event: InitEvent): InitState {
    return nextInitState(this.#state, event);
  }

  publish({ topic, payload }: TaskEvent): void {
    this.parts.outbox.append(topic, payload);
  }

  /** Makes the container; what fails or is cancelled leaves nothing behind. `begin` must follow. */
  async create(mounts: readonly Mount[], signal: AbortSignal): Promise<void> {
    const { journal, io, identity } = await launch(this.#config, mounts, signal);
    this.journal = journal;
    this.io = io;
    this.identity = identity;
    this.#rootfsMounted = mounts.length > 0;
  }

  /** The creation has been announced: from now on the process's end is, too. */
  begin(): void {
    if (this.identity === undefined) return;
    this.startWatching(this.identity);
    this.#watchOom();
  }

  async start(signal: AbortSignal): Promise<number> {
    await this.#starting; // an earlier shim's, whose outcome is being found out
    const restoring = this.#state === 'restorable';
    this.allow('start');
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#starting = promise;
    // Held until the process is watched: a restored one may end before the runtime has told us its pid.
    using _expected = this.parts.reaper.expect();
    // A shim that takes over from us looks what the runtime has done.
    this.#launching = !restoring;
    this.parts.save();
    try {
      if (restoring) await this.#restore(signal);
      else await this.#run(signal);
      return this.pid;
    } finally {
      if (this.#launching) this.#launched();
      this.#starting = undefined;
      resolve();
    }
  }

  async pause(): Promise<void> {
    this.allow('pause');
    this.#pausing = true;
    try {
      await this.#config.runc.pause(this.id).catch(renamed('OCI runtime pause failed'));
      if (this.#enter('pause')) this.publish(taskEvents.paused(this.id));
    } finally {
      this.#pausing = false;
    }
  }

  async resume(): Promise<void> {
    this.allow('resume');
    await this.#config.runc.resume(this.id).catch(renamed('OCI runtime resume failed'));
    if (this.#enter('resume')) this.publish(taskEvents.resumed(this.id));
  }

  /** `resources` is the JSON of an OCI LinuxResources. */
  async update(resources: string): Promise<void> {
    this.allow('update');
    await this.#config.runc.update(this.id, resources).catch(renamed('OCI runtime update failed'));
  }

  /** Tells of an OOM that has happened by now, before what it has caused is told. */
  checkOom(): void {
    this.#oomWatch?.check();
  }

  /** NotFound: there are no cgroups, not yet or not any more. */
  async stats(): Promise<Any> {
    await this.#oom;
    if (this.#cgroups === undefined) throw notFound('cgroup does not exist');
    return readStats(this.#cgroups);
  }

  async kill(signal: number, all: boolean): Promise<void> {
    if (this.#state === 'deleted') throw notFound('cannot kill a deleted process');
    if (!all && this.#state === 'stopped') throw processFinished();
    // A frozen process on cgroup v1 must be thawed to die, which runc does.
    const direct = !all && this.#config.runc.signalsDirectly && (this.#state === 'created' || this.state === 'running');
    if (direct) return this.signal(signal);
    await this.#config.runc.kill(this.id, signal, { all }).catch((error: unknown) => {
      throw error instanceof CodedError ? error : killError(error);
    });
  }

  /** Ends what is left of the container and gives what a Delete answers. */
  async delete(): Promise<Exit & { readonly pid: number }> {
    const { bundle, runc } = this.#config;
    if (this.#state === 'created') {
      await runc.delete(this.id, { force: true }).catch(renamed('failed to delete task'));
      await within(DELETE_EXIT_MS, this.exited);
    }
    this.allow('delete');
    await this.drainIo();
    await runc.delete(this.id).catch((error: unknown) => {
      // A checkpoint, or an attempt before this one, has deleted it.
      if (!isUnknownContainer(error)) renamed('failed to delete task')(error);
    });
    await this.closeIo();
    if (this.#rootfsMounted) await unmountRootfs(bundle);
    this.#rootfsMounted = false;
    this.#state = this.allow('delete');
    this.journal?.close();
    return { pid: this.pid, status: this.exit?.status ?? 0, exitedAt: this.exit?.exitedAt ?? 0n, sequence: 0n };
  }

  snapshot(): Omit<ContainerDocument, 'execs'> {
    const { bundle, options, checkpoint, parentCheckpoint } = this.#config;
    const rootfsMounted = this.#rootfsMounted;
    const cgroups = this.#cgroups === undefined ? {} : { cgroups: toDocument(this.#cgroups) };
    const own = { bundle, options, checkpoint, parentCheckpoint, rootfsMounted, state: this.#state };
    return { ...this.document(), ...own, ...cgroups, ...(this.#launching ? { starting: true } : {}) };
  }

  /** Takes up a process of an earlier life of the shim. */
  async adopt(document: ContainerDocument, fds: Readonly<Record<string, number>>): Promise<void> {
    if (document.state === 'creating') throw new TypeError('a container that was never created cannot be adopted');
    this.#state = document.state;
    this.#rootfsMounted = document.rootfsMounted;
    this.#launching = document.starting === true && document.state === 'created';
    if (document.cgroups !== undefined) this.#cgroups = fromDocument(document.cgroups);
    const alive = await this.takeUp(document, this.#config.bundle, fds);
    if (!alive) return;
    this.#watchOom();
    if (this.#launching) this.parts.background('start', this.#adoptStart());
    else await this.#reconcile();
  }

  /** The shim before us ended while the runtime was starting the process, which goes on by itself. */
  async #adoptStart(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#starting = promise;
    try {
      for (let tries = 0; tries < ADOPT_TRIES && this.#state === 'created' && !this.#ended; tries += 1) {
        if (tries > 0) await sleep(ADOPT_RETRY_MS);
        await this.#reconcile();
      }
    } finally {
      if (!this.#ended) this.#launched();
      this.#starting = undefined;
      resolve();
    }
  }

  #launched(): void {
    this.#launching = false;
    this.parts.save();
  }

  protected finish(end: End): void {
    this.#ended = true;
    this.parts.background('exit', this.#finish(end));
  }

  /** From the end of the process to its event: what must be over before, is over then. */
  async #finish(end: End): Promise<void> {
    const { runc, facts, execsEnded } = this.#config;
    const failed = (error: unknown): void =>
      this.parts.log.warn('what is left of the container', { id: this.id, error });
    await within(EXIT_ORDER_MS, this.#starting ?? Promise.resolve());
    // It ended under a start whose outcome nobody could tell: what ends was started, or killed before it was.
    if (this.#launching && this.#state === 'created') this.#started();
    if (this.#state === 'paused') await runc.resume(this.id).catch(failed);
    // What survives its init holds the FIFOs open and would keep the exit from its client.
    if (!facts.privatePidNamespace) await runc.kill(this.id, SIGKILL, { all: true }).catch(failed);
    await within(EXIT_ORDER_MS, execsEnded());
    const oom = await this.#oom;
    oom?.check();
    oom?.close();
    if (this.#state === 'deleted') return; // a Delete had no patience left
    this.announce(end, () => {
      this.#state = this.allow('exit');
    });
  }

  async #run(signal: AbortSignal): Promise<void> {
    await this.#oom; // an OOM at the first instruction must be seen
    try {
      await this.#config.runc.start(this.id, signal).catch(renamed('OCI runtime start failed'));
    } catch (error) {
      // Cut short, runc may have started it all the same.
      if (codeOf(error) !== codes.unknown) await this.#reconcile();
      throw error;
    }
    this.#launching = false;
    this.#started();
  }

  async #restore(signal: AbortSignal): Promise<void> {
    if (this.io === undefined) throw notFound('stdio of container', this.id);
    this.identity = await restore(this.#config, this.io, signal);
    this.#started();
    this.begin();
  }

  #started(): void {
    if (this.#enter('start')) this.publish(taskEvents.start(this.id, this.pid));
  }

  /** Asks the runtime what became of a call whose end we did not see. */
  async #reconcile(): Promise<void> {
    const status = await this.#config.runc.state(this.id).catch(() => undefined);
    if (this.#state === 'created' && (status === 'running' || status === 'paused')) this.#started();
    if (this.#state === 'running' && status === 'paused') this.#enter('pause');
    if (this.#state === 'paused' && status === 'running') this.#enter('resume');
  }

  /** A verb of the runtime has done its work; if the process has ended in the meantime, that stands (false). */
  #enter(event: InitEvent): boolean {
    if (this.#state === 'stopped') return false;
    this.#state = this.allow(event);
    this.parts.save();
    return true;
  }

  #watchOom(): void {
    // Behind the answer to Create; Start waits for it.
    this.#oom = nextTurn()
      .then(async () => {
        this.#cgroups ??= cgroupPaths(this.pid);
        this.#oomWatch = await watchOom(this.#cgroups, () => this.publish(taskEvents.oom(this.id)));
        return this.#oomWatch;
      })
      .catch((error: unknown) => {
        this.parts.log.warn('OOM events will be missing', { id: this.id, error });
        return undefined;
      });
  }
}
