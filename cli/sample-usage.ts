import { totalmem } from 'node:os';
import type { Client } from '../client/connect.ts';
import type { Usage } from '../client/usage.ts';
import { alive } from './alive.ts';

/** What a container uses, with what follows from the look before. */
export interface Sample {
  readonly id: string;
  /** Undefined: it does not run. */
  readonly usage: Usage | undefined;
  /** Of one CPU, since the last look; undefined at the first. */
  readonly cpuPercent: number | undefined;
  /** Its limit, or the memory of the machine. */
  readonly memoryMaxBytes: number;
  readonly memoryPercent: number;
}

/** Looks again and again at what containers use. */
export class Sampler {
  readonly #client: Client;
  readonly #ids: readonly string[];
  #last: ReadonlyMap<string, Usage> = new Map();

  /** `ids`: these, whether they run or not; none: all that run. */
  constructor(client: Client, ids: readonly string[]) {
    this.#client = client;
    this.#ids = ids;
  }

  /** Fails with notFound for an id that is no container. */
  async look(): Promise<readonly Sample[]> {
    for (const id of this.#ids) await this.#client.containers.of(id).info();
    const running = (await this.#client.tasks.list()).filter(({ state }) => alive.has(state)).map(({ id }) => id);
    const ids = this.#ids.length === 0 ? running.sort() : this.#ids;
    const asked = ids.filter((id) => running.includes(id));
    // Without any filter, it would be all.
    const usages = asked.length === 0 ? [] : await this.#client.tasks.usage(asked);
    const now = new Map(usages.map((usage) => [usage.id, usage]));
    const samples = ids.map((id) => sampleOf(id, now.get(id), this.#last.get(id)));
    this.#last = now;
    return samples;
  }
}

const sampleOf = (id: string, usage: Usage | undefined, before: Usage | undefined): Sample => {
  const memoryMaxBytes = Math.min(Number(usage?.memoryLimitBytes ?? Number.POSITIVE_INFINITY), totalmem());
  const memoryPercent = (100 * Number(usage?.memoryBytes ?? 0n)) / memoryMaxBytes;
  return { id, usage, cpuPercent: cpuPercent(usage, before), memoryMaxBytes, memoryPercent };
};

/** A new container of the same name has used less than the one before: that is no difference to tell of. */
const cpuPercent = (usage: Usage | undefined, before: Usage | undefined): number | undefined => {
  if (usage === undefined || before === undefined) return undefined;
  const [used, time] = [usage.cpuNanos - before.cpuNanos, usage.atNanos - before.atNanos];
  return used < 0n || time <= 0n ? undefined : (100 * Number(used)) / Number(time);
};
