import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { withDeadline } from '../../common/deadline.ts';
import { codes } from '../../common/errdefs.ts';
import { Status } from '../../proto/gen/containerd/v1/types/task_types.ts';
import { eventually } from '../harness/wait.ts';
import type { TaskWorld } from '../integration/tasks-harness.ts';
import type { Random } from './random.ts';

/** What of a container's life may be under way when the daemon is killed. */
export const phases = ['create', 'start', 'exec', 'exit', 'delete'] as const;
export type Phase = (typeof phases)[number];

/** One container's whole life, as its client saw it. */
export interface Life {
  readonly id: string;
  readonly pid: number;
  readonly status: number;
  /** The exec beside it, if there was one. */
  readonly exec: { readonly pid: number; readonly status: number } | undefined;
}

/** What the actors share. */
export interface Stage {
  readonly world: TaskWorld;
  readonly random: Random;
  readonly lives: Life[];
  /** Tasks whose create was answered and whose delete was not asked for yet: each must be listed. id → pid. */
  readonly standing: Map<string, number>;
  /** Resolves when a daemon listens. */
  up(): Promise<void>;
  /** Containers whose shim was killed: how they ended may be unknown to everybody, but must not be made up. */
  readonly orphaned: Set<string>;
  /** Aborts when something has gone wrong: nobody insists any more. */
  readonly failed: AbortSignal;
}

/** Calls that end with one of these were cut: whether they were heard, the next daemon knows. */
const CUT: ReadonlySet<number> = new Set([codes.unavailable, codes.canceled]);
const SIGNAL_STATUS = 137;
/** When nobody can know how a process ended. */
const UNKNOWN_STATUS = 255;
/** No call of these takes as long, ms, unless something was lost. */
const HANG_MS = 30_000;
const EXEC = 'x';

/** Lives one container after another, and insists: a call that is cut is made again until it is answered. */
export class Actor {
  readonly name: string;
  phase: Phase | undefined;
  readonly #stage: Stage;
  #rounds = 0;

  constructor(name: string, stage: Stage) {
    this.name = name;
    this.#stage = stage;
  }

  async live(): Promise<void> {
    const { world, random, standing } = this.#stage;
    const id = `${this.name}-${(this.#rounds += 1)}`;
    const byItself = random.next() < 0.6;
    const status = byItself ? random.between(1, 100) : SIGNAL_STATUS;
    const script = byItself ? `sleep 0.${random.between(1, 6)}; exit ${status}` : 'sleep 1000';
    await this.#insist(() => world.createContainer(id, ['sh', '-c', script]), codes.alreadyExists);
    const pid = await this.#create(id);
    standing.set(id, pid);
    await this.#start(id, '');
    const exec = random.next() < 0.4 ? await this.#exec(id) : undefined;
    if (!byItself) await this.#kill(id);
    const exit = await this.#in('exit', () => world.tasks.wait({ containerId: id }));
    this.#assertStatus(exit.exitStatus, status, id);
    standing.delete(id);
    const deleted = await this.#in('delete', () => world.tasks.delete({ containerId: id }));
    assert.deepEqual(
      [deleted.pid, deleted.exitStatus, deleted.exitedAt],
      [pid, exit.exitStatus, exit.exitedAt],
      `delete of ${id}`,
    );
    await this.#insist(() => world.containers.delete({ id }), codes.notFound);
    this.#stage.lives.push({ id, pid, status: exit.exitStatus, exec });
  }

  /** A create that was cut has left either a whole task or nothing. */
  #create(id: string): Promise<number> {
    const { world } = this.#stage;
    return this.#in('create', async (again) => {
      const known = again ? await this.#found(id, '') : undefined;
      return known?.pid ?? (await world.createTask(id)).pid;
    });
  }

  #start(id: string, execId: string): Promise<number> {
    const { world } = this.#stage;
    return this.#in(execId === '' ? 'start' : 'exec', async (again) => {
      const known = again ? await this.#found(id, execId) : undefined;
      if (known !== undefined && known.status !== Status.CREATED) return known.pid;
      const reply = await world.tasks.start({ containerId: id, execId }).catch((error: unknown) => {
        // The start that was cut has come to its end in the meantime.
        if (again && isRefusal(error)) return undefined;
        throw error;
      });
      // Its event is on its way to the daemon.
      return reply?.pid ?? (await eventually(async () => (await this.#found(id, execId))?.pid || undefined));
    });
  }

  /** undefined: the container has ended before, which is its right. */
  async #exec(id: string): Promise<Life['exec']> {
    const { world, random } = this.#stage;
    const status = random.between(1, 100);
    try {
      await this.#in('exec', async (again) => {
        if (again && (await this.#found(id, EXEC)) !== undefined) return;
        await world.addExec(id, EXEC, ['sh', '-c', `exit ${status}`]);
      });
      const pid = await this.#start(id, EXEC);
      if (pid === 0) throw new Error('the container has ended before its exec could run');
      const exit = await this.#in('exec', () => world.tasks.wait({ containerId: id, execId: EXEC }));
      // The container may have ended first, and taken it along.
      const wasTaken = exit.exitStatus === SIGNAL_STATUS && (await this.#ends(id));
      if (!wasTaken) this.#assertStatus(exit.exitStatus, status, id);
      const deleted = await this.#in('exec', () => world.tasks.deleteProcess({ containerId: id, execId: EXEC }));
      assert.deepEqual([deleted.pid, deleted.exitStatus], [pid, exit.exitStatus], `delete of the exec in ${id}`);
      return { pid, status: exit.exitStatus };
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      if (this.#stage.orphaned.has(id)) return undefined; // the start was its shim's, and is lost with it
      // The shim knows of an end a moment before the daemon does.
      if (!(await this.#ends(id))) throw error;
      return undefined;
    }
  }

  /** Whether the container has ended, or is about to. */
  async #ends(id: string): Promise<boolean> {
    const { world } = this.#stage;
    const hasEnded = async (): Promise<boolean> =>
      (await this.#in('exec', () => world.tasks.get({ containerId: id }))).process?.status === Status.STOPPED;
    return eventually(hasEnded, { ms: 5_000 }).catch(() => false);
  }

  #assertStatus(told: number, actual: number, id: string): void {
    const known = this.#stage.orphaned.has(id) ? [actual, UNKNOWN_STATUS] : [actual];
    assert.ok(known.includes(told), `exit status in ${id}: ${told}, not ${known.join(' or ')}`);
  }

  async #kill(id: string): Promise<void> {
    const { world, random } = this.#stage;
    await sleep(random.between(0, 300));
    await this.#in('exit', () => world.signal(id).catch(ignore(codes.notFound)));
  }

  async #found(id: string, execId: string): Promise<{ pid: number; status: Status } | undefined> {
    const reply = await this.#stage.world.tasks.get({ containerId: id, execId }).catch(ignore(codes.notFound));
    return reply?.process;
  }

  async #in<T>(phase: Phase, call: (again: boolean) => Promise<T>): Promise<T> {
    this.phase = phase;
    try {
      return await this.#repeat(call);
    } finally {
      this.phase = undefined;
    }
  }

  /** For calls that are no phase; `answer`: a code that means that it was done already. */
  async #insist(call: () => Promise<unknown>, answer: number): Promise<void> {
    await this.#repeat(() => call().catch(ignore(answer)));
  }

  async #repeat<T>(call: (again: boolean) => Promise<T>): Promise<T> {
    for (let again = false; ; again = true) {
      await this.#stage.up();
      try {
        return await withDeadline(`${this.phase ?? 'a call'} of ${this.name}-${this.#rounds}`, HANG_MS, () =>
          call(again),
        );
      } catch (error) {
        if (!wasCut(error) || this.#stage.failed.aborted) throw error;
      }
    }
  }
}

const isCoded = (error: unknown, code: number): boolean =>
  error instanceof Error && 'code' in error && error.code === code;

/** Of a verb that comes too late. */
const isRefusal = (error: unknown): boolean =>
  isCoded(error, codes.failedPrecondition) ||
  (isCoded(error, codes.unknown) && error instanceof Error && /cannot start a (running|stopped)/.test(error.message));

const wasCut = (error: unknown): boolean =>
  error instanceof Error &&
  (('code' in error && CUT.has(Number(error.code))) || error.message === 'the daemon is down');

const ignore =
  (code: number) =>
  (error: unknown): undefined => {
    if (!isCoded(error, code)) throw error;
    return undefined;
  };
