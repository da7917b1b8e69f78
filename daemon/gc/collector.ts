import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Database } from '../store/database.ts';
import { Barrier } from './barrier.ts';
import { type RowGraph, rowGraph } from './graph.ts';
import { Marking } from './mark.ts';
import type { Collectable, Node } from './nodes.ts';

/** In this order: a lease that has expired keeps nothing, and no row goes before what refers to it. */
const KINDS: readonly Collectable[] = ['lease', 'image', 'ingest', 'snapshot', 'content'];

/** Longest stretch for which the marking keeps the loop to itself, ms. */
const SLICE_MS = 4;
/** After the daemon's start, ms. Source: containerd's gc scheduler, startup_delay. */
const STARTUP_MS = 100;
/** Changes, one deletion among them, after which a collection is due. Source: mutation_threshold. */
const MUTATIONS = 100;
/** Share of the time that collections may take. Source: pause_threshold. */
const PAUSE_SHARE = 0.02;

export interface CollectorParts {
  readonly db: Database;
  readonly log: Logger;
  /** Takes a row of that kind, in a transaction; one that is not there any more is no error. */
  readonly remove: Readonly<Record<Collectable, (node: Node) => void>>;
  /** Takes off the disk what no row names any more. */
  readonly settle: (removed: readonly Node[]) => Promise<unknown>;
}

export interface Collection {
  readonly kept: number;
  readonly removed: readonly Node[];
  readonly durationMs: number;
}

/** Removes what nobody refers to. One collection at a time; requests go on between any two of its steps. */
export class Collector {
  readonly #parts: CollectorParts;
  #current: Promise<Collection> | undefined;
  #next: Promise<Collection> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #mutations = 0;
  #deletions = 0;
  #busyUntil = 0;
  #closed = false;
  /** Since our start, for the collection that comes by itself then: it is for what earlier daemons left. */
  #sinceStart: Barrier | undefined;

  constructor(parts: CollectorParts) {
    this.#parts = parts;
    this.#sinceStart = new Barrier(parts.db);
    this.#schedule(STARTUP_MS);
  }

  /** Collects; what was unreferenced before the call is gone when it resolves. All who wait share one. */
  collect(): Promise<Collection> {
    this.#forgetStart();
    return this.#collect();
  }

  #collect(): Promise<Collection> {
    if (this.#current === undefined) return this.#start();
    this.#next ??= this.#current.catch(() => undefined).then(() => this.#startNext());
    return this.#next;
  }

  /** What would go now, and stays. */
  async plan(): Promise<readonly Node[]> {
    const { db } = this.#parts;
    await this.#current?.catch(() => undefined);
    this.#forgetStart();
    using barrier = new Barrier(db);
    const graph = rowGraph(db, Date.now());
    const marking = await this.#mark(graph, barrier);
    return [...doomed(marking, graph)].flat();
  }

  /** Something was changed, or taken away: a collection may be due some time. */
  mutated({ deleted }: { readonly deleted: boolean }): void {
    this.#mutations += 1;
    if (deleted) this.#deletions += 1;
    if (this.#deletions > 0 && this.#mutations >= MUTATIONS) this.#schedule(Math.max(0, this.#busyUntil - Date.now()));
  }

  /** Waits for one that is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await Promise.allSettled([this.#current, this.#next]);
    this.#forgetStart();
  }

  #forgetStart(): void {
    this.#sinceStart?.[Symbol.dispose]();
    this.#sinceStart = undefined;
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#collect().catch((error: unknown) => this.#parts.log.error({ err: error }, 'collection failed'));
    }, delayMs).unref();
  }

  #startNext(): Promise<Collection> {
    this.#next = undefined;
    return this.#start();
  }

  #start(): Promise<Collection> {
    const current = this.#run().finally(() => {
      if (this.#current === current) this.#current = undefined;
    });
    this.#current = current;
    return current;
  }

  async #run(): Promise<Collection> {
    const { db, log, settle } = this.#parts;
    const begun = Date.now();
    [this.#mutations, this.#deletions] = [0, 0];
    const removed: Node[] = [];
    let marking: Marking;
    {
      using barrier = this.#sinceStart ?? new Barrier(db);
      this.#sinceStart = undefined;
      const graph = rowGraph(db, begun);
      marking = await this.#mark(graph, barrier);
      for (const page of doomed(marking, graph)) {
        removed.push(...this.#sweep(page, marking, barrier));
        await nextTurn();
      }
    }
    await db.durable();
    await settle(removed);
    const durationMs = Date.now() - begun;
    this.#busyUntil = begun + durationMs / PAUSE_SHARE;
    log.debug({ durationMs, kept: marking.size, removed: removed.length }, 'collected');
    return { kept: marking.size, removed, durationMs };
  }

  /** Slice by slice; what writers touch in between is marked too. */
  async #mark(graph: RowGraph, barrier: Barrier): Promise<Marking> {
    const marking = new Marking(graph);
    let since = performance.now();
    for (const _step of marking.steps()) {
      if (performance.now() - since < SLICE_MS) continue;
      await nextTurn();
      for (const node of barrier.drain()) marking.touch(node);
      since = performance.now();
    }
    return marking;
  }

  /** Takes the rows of a page that are still white, after everything that was touched has been followed. */
  #sweep(page: readonly Node[], marking: Marking, barrier: Barrier): Node[] {
    const { db, remove } = this.#parts;
    if (page.length === 0) return [];
    return db.transaction(() => {
      for (const node of barrier.drain()) marking.touch(node);
      for (const _step of marking.rest());
      const white = page.filter((node) => !marking.has(node));
      for (const node of white) remove[node.kind as Collectable](node); // a page holds what can be collected
      return white;
    });
  }
}

/** What is white, a page at a time; some are empty. */
const doomed = function* (marking: Marking, graph: RowGraph): Generator<Node[], void, void> {
  for (const kind of KINDS) {
    for (const page of graph.pages(kind)) yield page.filter((node) => !marking.has(node));
  }
};
