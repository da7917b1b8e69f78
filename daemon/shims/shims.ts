import { rmSync } from 'node:fs';
import { deadlineExceeded, isNotFound, messageOf } from '../../common/errdefs.ts';
import { shimPaths } from '../../common/bootstrap.ts';
import { withDeadline } from '../../common/deadline.ts';
import { KeyedQueue } from '../../common/keyed-queue.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import type { EventLog } from '../events/log.ts';
import type { Database } from '../store/database.ts';
import type { ShimRow, ShimTable } from '../store/tables/shims.ts';
import type { TaskKey, TaskTable } from '../store/tables/tasks.ts';
import { Shim } from './shim.ts';
import type { Survivors } from './shim-control.ts';
import { bindShim, type SpawnParts, startForeignShim } from './spawn.ts';

/** How long a shim that was told to end may take; it waits only until we have taken in its last events, ms. */
const END_MS = 10_000;

export interface ShimsOptions extends SpawnParts {
  readonly db: Database;
  readonly table: ShimTable;
  readonly tasks: TaskTable;
  readonly events: EventLog;
  readonly connectMs: number;
  readonly shutdownMs: number;
  /** What has been kept of a shim that is gone, for the one in its place. */
  readonly survivors: (shim: Shim) => Survivors;
  /** A shim has ended though nobody asked it to; calls to it wait for what is made of it. */
  readonly onLost: (shim: Shim) => void;
}

/** All shims that serve tasks. What is said of one shim is done one at a time. */
export class Shims {
  readonly parts: ShimsOptions;
  readonly #live = new Map<string, Shim>();
  readonly #turns = new KeyedQueue();

  constructor(options: ShimsOptions) {
    this.parts = options;
  }

  get(key: string): Shim | undefined {
    return this.#live.get(key);
  }

  all(): Shim[] {
    return [...this.#live.values()];
  }

  /** Knows a shim from its row, before it is looked for: calls wait. */
  load(row: ShimRow): Shim {
    const shim = this.#make(row);
    shim.hold();
    return shim;
  }

  /** The live shim of this row's group, or a new one. The row must be there. */
  acquireOwn(row: ShimRow, shimCgroup: string): Promise<Shim> {
    return this.#turns.run(row.key, async () => {
      const live = this.#live.get(row.key);
      if (live !== undefined && !live.dismissed) return live;
      if (live !== undefined) await this.#ended(live);
      return this.#bring(this.#make(row), (shim) => bindShim(this.parts, shim, shimCgroup));
    });
  }

  /** A shim by the public protocol. The row must be there. */
  acquireForeign(
    row: ShimRow,
    task: TaskKey & { bundle: string; options: Any | undefined },
    signal: AbortSignal,
  ): Promise<Shim> {
    return this.#turns.run(row.key, () =>
      this.#bring(this.#make(row), (shim) => startForeignShim(this.parts, shim, task, signal)),
    );
  }

  /** Brings back one of our own shims whose process has ended: a new one takes up its ledger. */
  adopt(shim: Shim): Promise<void> {
    return this.#turns.run(shim.key, async () => {
      if (this.#live.get(shim.key) !== shim || shim.dismissed) return;
      await bindShim(this.parts, shim, '', this.parts.survivors(shim));
      this.#write(shim);
    });
  }

  /** Reaches a shim that should be alive. */
  reconnect(shim: Shim): Promise<void> {
    return this.#turns.run(shim.key, async () => {
      await this.parts.connect(shim);
      this.#write(shim);
    });
  }

  /** Tells a shim that has no task left to end. Resolves when it was told; its end is seen to in the background. */
  release(key: string): Promise<void> {
    return this.#turns.run(key, async () => {
      const shim = this.#live.get(key);
      if (shim === undefined || shim.dismissed || this.parts.tasks.ofShim(key).length > 0) return;
      const { id } = shim.row;
      const told = shim
        .call('shutdown', { id, now: false }, { timeoutMs: this.parts.shutdownMs })
        .catch((error: unknown) => error);
      shim.dismiss();
      const error = await told;
      if (error !== undefined && error instanceof Error && !isNotFound(error)) {
        this.parts.log.warn({ shim: key, container: id, err: messageOf(error) }, 'shim did not take its dismissal');
        shim.kill();
      }
      void this.#turns.run(key, () => this.#ended(shim));
    });
  }

  /** Forgets a shim that is gone, or that nobody can do anything for. */
  forget(shim: Shim, reason: Error): void {
    shim.giveUp(reason);
    this.#remove(shim);
  }

  /** Lets go of all; they live on. */
  close(): void {
    for (const shim of this.#live.values()) shim.close();
  }

  #make(row: ShimRow): Shim {
    const { connectMs, log, onLost } = this.parts;
    const shim = new Shim(row, { connectMs, log, onLost });
    this.#live.set(row.key, shim);
    return shim;
  }

  async #bring(shim: Shim, how: (shim: Shim) => Promise<void>): Promise<Shim> {
    shim.hold();
    try {
      await how(shim);
      this.#write(shim);
      return shim;
    } catch (error) {
      shim.giveUp(error instanceof Error ? error : new Error(String(error)));
      this.#live.delete(shim.key);
      throw error;
    }
  }

  #write(shim: Shim): void {
    this.parts.db.transaction(() => this.parts.table.put({ ...shim.row, bootId: this.parts.bootId }));
  }

  /** Waits until a dismissed shim has ended, and sees to it that it does. */
  async #ended(shim: Shim): Promise<void> {
    if (this.#live.get(shim.key) !== shim) return;
    try {
      if (shim.own) await withDeadline('the end of a shim', END_MS, () => shim.ended);
    } catch (error) {
      this.parts.log.warn({ shim: shim.key, err: messageOf(error) }, 'shim does not end, and is killed');
      shim.kill();
      await withDeadline('the end of a killed shim', END_MS, () => shim.ended).catch(() => undefined);
    }
    shim.giveUp(deadlineExceeded(`shim of ${shim.row.id} has ended`));
    this.#remove(shim);
  }

  #remove(shim: Shim): void {
    const { db, table, tasks, events, state } = this.parts;
    if (this.#live.get(shim.key) === shim) this.#live.delete(shim.key);
    db.transaction(() => {
      const source = table.source(shim.key);
      if (source !== '') events.forgetShim(source);
      if (tasks.ofShim(shim.key).length === 0) table.remove(shim.key);
      else table.setSource(shim.key, '');
    });
    // It removes its files itself, unless it was killed; a directory with a task's ledger is that task's to remove.
    if (shim.own && tasks.ofShim(shim.key).length === 0) {
      rmSync(shimPaths(state, shim.key).directory, { recursive: true, force: true });
    }
  }
}
