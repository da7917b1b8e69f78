import { rmSync } from 'node:fs';
import type { ShimPaths } from '../common/bootstrap.ts';
import { about, alreadyExists, canceled, isNotFound, notFound } from '../common/errdefs.ts';
import { checkIdentifier } from '../common/identifiers.ts';
import { KeyedQueue } from '../common/keyed-queue.ts';
import type { CreateTaskRequest, ExecProcessRequest } from '../proto/gen/containerd/task/v2/task_v2.ts';
import { Container } from './container.ts';
import { taskEvents } from './events.ts';
import { collectGarbage } from './garbage.ts';
import { Handout } from './handout.ts';
import { type ContainerDocument, type Ledger, type TombstoneDocument, writeLedger } from './ledger.ts';
import { runtimeOptions } from './options.ts';
import type { Exit, ShimParts, Stdio } from './process.ts';
import { delayed } from './within.ts';

/** How many answers to Delete are kept, so that a repeated one gets the same; the oldest go first. */
const TOMBSTONES_MAX = 128;
/**
 * How long a start is let go on when its caller has gone, ms. runc start that is killed between opening and reading the
 * container's FIFO takes the container along, and what is worth killing hangs for longer.
 */
const START_GRACE_MS = 2_000;
/** How soon a ledger that a full disk has refused is tried again, ms. */
const SAVE_RETRY_MS = 1_000;
/** After the last lifecycle verb: when its garbage is collected, ms. Later than a burst of starts lasts. */
const TIDY_MS = 5_000;

/** What a Delete answers. */
export type Deleted = Exit & { readonly pid: number };

/**
 * The containers of one shim. Lifecycle verbs of one process take turns; everything else reads what is known and never
 * waits for them.
 */
export class Shim {
  readonly parts: ShimParts;
  readonly containers = new Map<string, Container>();
  readonly handout: Handout;
  readonly #ledger: Ledger;
  readonly #paths: ShimPaths;
  /** Containers that are in the ledger but not at our hands: being created, or not taken up yet. */
  readonly #pending: Map<string, ContainerDocument>;
  readonly #tombstones: Map<string, TombstoneDocument>;
  readonly #turns = new KeyedQueue();
  #retry: NodeJS.Timeout | undefined;
  #tidying: NodeJS.Timeout | undefined;

  constructor(ledger: Ledger, paths: ShimPaths, parts: Omit<ShimParts, 'save'>) {
    this.#ledger = ledger;
    this.#paths = paths;
    this.#pending = new Map(Object.entries(ledger.containers));
    this.#tombstones = new Map(Object.entries(ledger.tombstones));
    this.parts = { ...parts, save: () => this.keep() };
    this.handout = new Handout({ path: paths.handout, descriptors: () => this.#keepsakes(), log: parts.log });
  }

  /** The container of that id; NotFound in the words of containerd's shim. */
  container(id: string): Container {
    const container = this.containers.get(id);
    if (container === undefined) throw notFound('container not created');
    return container;
  }

  /** Nothing is served or about to be. */
  get idle(): boolean {
    return this.containers.size === 0 && this.#pending.size === 0 && this.#turns.busy === 0;
  }

  /** A container of an earlier life is taken up, or given up on (undefined). */
  adopted(id: string, container: Container | undefined): void {
    this.#pending.delete(id);
    if (container !== undefined) this.containers.set(id, container);
  }

  create(request: CreateTaskRequest, signal: AbortSignal): Promise<Container> {
    const id = checkIdentifier(request.id);
    return this.turn(id, signal, async () => {
      if (this.containers.has(id)) throw alreadyExists('container', id);
      const { bundle, checkpoint, parentCheckpoint } = request;
      const options = runtimeOptions(this.parts.identity, request.options);
      const stdio = stdioOf(request);
      const container = new Container(this.parts, { id, bundle, options, stdio, checkpoint, parentCheckpoint });
      const rootfsMounted = request.rootfs.length > 0;
      // Before the first side effect: a shim that adopts us finds it and undoes what there is.
      this.#pending.set(id, { ...container.snapshot(), state: 'creating', rootfsMounted });
      this.#tombstones.delete(id);
      this.save();
      // Held until the process is watched: it may end before the runtime has told us its pid.
      using _expected = this.parts.reaper.expect();
      try {
        await container.init.create(request.rootfs, signal);
        this.containers.set(id, container);
      } finally {
        this.#pending.delete(id);
        this.keep();
      }
      const { pid } = container.init;
      this.#publish(taskEvents.create({ containerId: id, bundle, rootfs: request.rootfs, io: stdio, checkpoint, pid }));
      container.init.begin();
      await this.handout.offer();
      return container;
    });
  }

  start(id: string, execId: string, signal: AbortSignal): Promise<number> {
    return this.turn(turnKey(id, execId), signal, async () => {
      using patient = delayed(signal, START_GRACE_MS);
      const pid = await this.container(id).process(execId).start(patient.signal);
      await this.handout.offer();
      return pid;
    });
  }

  addExec(request: ExecProcessRequest, signal: AbortSignal): Promise<void> {
    const { id, execId, spec } = request;
    return this.turn(turnKey(id, execId), signal, async () => {
      this.container(id).addExec(execId, stdioOf(request), Buffer.from(spec?.value ?? []).toString('utf8'));
      this.#tombstones.delete(turnKey(id, execId));
    });
  }

  delete(id: string, execId: string, signal: AbortSignal): Promise<Deleted> {
    const key = turnKey(id, execId);
    return this.turn(key, signal, async () => {
      const answered = this.#tombstones.get(key);
      const container = this.containers.get(id);
      if (answered !== undefined && (execId === '' ? container === undefined : !hasExec(container, execId))) {
        return revive(answered);
      }
      const deleted = await this.container(id).process(execId).delete();
      if (execId === '') await this.#forget(this.container(id));
      else container?.forgetExec(execId);
      this.#bury(key, deleted);
      this.keep();
      if (execId === '') this.#publish(taskEvents.delete({ id, ...deleted }));
      return deleted;
    });
  }

  /** One lifecycle verb at a time for each key; a caller that went away before its turn loses it. */
  turn<T>(key: string, signal: AbortSignal, verb: () => Promise<T>): Promise<T> {
    return this.#turns.run(key, async () => {
      if (signal.aborted) throw canceled(`waiting for a turn of ${key}`, { cause: signal.reason });
      try {
        return await verb();
      } finally {
        clearTimeout(this.#tidying);
        this.#tidying = setTimeout(collectGarbage, TIDY_MS).unref();
      }
    });
  }

  #keepsakes(): Record<string, number> {
    const found: Record<string, number> = {};
    for (const { processes } of this.containers.values()) {
      for (const { id, execId, keepsakes } of processes) {
        for (const [name, fd] of Object.entries(keepsakes)) found[`${id}/${execId}/${name}`] = fd;
      }
    }
    return found;
  }

  save(): void {
    const containers = [...this.containers].map(([id, container]) => [id, container.snapshot()] as const);
    const tombstones = Object.fromEntries(this.#tombstones);
    writeLedger(this.#paths.ledger, {
      ...this.#ledger,
      pid: process.pid,
      containers: Object.fromEntries([...this.#pending, ...containers]),
      tombstones,
    });
  }

  /** As `save`, of what has happened already: it is told whatever the disk says, and written as soon as it can be. */
  keep(): void {
    try {
      this.save();
    } catch (error) {
      this.parts.log.error('ledger is not written, and will be tried again', { error });
      if (this.#retry !== undefined) return;
      this.#retry = setTimeout(() => {
        this.#retry = undefined;
        this.keep();
      }, SAVE_RETRY_MS).unref();
    }
  }

  /** The shim is not wanted any more: what it has in the file system goes. */
  removeFiles(): void {
    rmSync(this.#paths.directory, { recursive: true, force: true });
  }

  async #forget(container: Container): Promise<void> {
    await container.closeExecs();
    this.containers.delete(container.id);
  }

  #bury(key: string, { pid, status, exitedAt }: Deleted): void {
    this.#tombstones.set(key, { pid, status, exitedAt: String(exitedAt), sequence: '0' });
    for (const oldest of this.#tombstones.keys()) {
      if (this.#tombstones.size <= TOMBSTONES_MAX) break;
      this.#tombstones.delete(oldest);
    }
  }

  #publish({ topic, payload }: ReturnType<typeof taskEvents.create>): void {
    this.parts.outbox.append(topic, payload);
  }
}

const turnKey = (id: string, execId: string): string => (execId === '' ? id : `${id}/${execId}`);

const hasExec = (container: Container | undefined, execId: string): boolean => {
  try {
    return container?.exec(execId) !== undefined;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw about('exec', error);
  }
};

const revive = ({ pid, status, exitedAt }: TombstoneDocument): Deleted => ({
  pid,
  status,
  exitedAt: BigInt(exitedAt),
  sequence: 0n,
});

const stdioOf = ({ stdin, stdout, stderr, terminal }: Stdio): Stdio => ({ stdin, stdout, stderr, terminal });
