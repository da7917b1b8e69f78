import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, type TestContext } from 'node:test';
import { clearLeaks, findLeaks } from './leaks.ts';
import { eventually } from './wait.ts';

/** How much of each server's log a failed test shows, characters. */
const LOG_TAIL = 3_000;
/** What ends by itself after the last test (a shim that was told to shut down) has this long, milliseconds. */
const SETTLE_MS = 10_000;

/**
 * Everything that one test file has on the machine: a directory, and a name of its own for cgroups, namespaces and
 * whatever else is not a file. After the file's last test all is undone in reverse, and nothing may be left.
 */
export class Bed {
  /** Unique, short, fit for a namespace, a cgroup and a host name: `hf-3f09c1`. */
  readonly name = `hf-${randomBytes(3).toString('hex')}`;
  /** Short as well: a socket's path has at most 107 bytes. */
  readonly dir = `/tmp/${this.name}`;
  readonly #undo = new AsyncDisposableStack();
  readonly #logs: { readonly name: string; log(characters: number): string }[] = [];

  constructor() {
    mkdirSync(this.dir, { mode: 0o755 });
  }

  path(...parts: readonly string[]): string {
    return join(this.dir, ...parts);
  }

  /** A directory below `dir`, made if it is missing. */
  folder(...parts: readonly string[]): string {
    const path = this.path(...parts);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** To be done after the last test; what was deferred last is done first. */
  defer(undo: () => unknown): void {
    this.#undo.defer(async () => void (await undo()));
  }

  /** A failed test shows the end of this log. */
  showOnFailure(server: { readonly name: string; log(characters: number): string }): void {
    this.#logs.push(server);
  }

  showLogs(t: TestContext): void {
    for (const server of this.#logs) t.diagnostic(`the end of the log of ${server.name}:\n${server.log(LOG_TAIL)}`);
  }

  /** Undoes everything; fails if anything is left then, and removes that too. */
  async remove(): Promise<void> {
    let left: string[] = [];
    try {
      await this.#undo.disposeAsync();
      await eventually(() => (left = findLeaks(this)).length === 0, { ms: SETTLE_MS, everyMs: 50 }).catch(
        () => undefined,
      );
    } finally {
      await clearLeaks(this);
      rmSync(this.dir, { recursive: true, force: true, maxRetries: 3 });
    }
    assert.deepEqual(left, [], 'left behind by this file');
  }
}

/** The bed of this test file. Call it once, at the top. */
export const testBed = (): Bed => {
  const bed = new Bed();
  afterEach((t) => {
    if ('passed' in t && !t.passed) bed.showLogs(t as TestContext);
  });
  after(() => bed.remove());
  return bed;
};
