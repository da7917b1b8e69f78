import { closeSync } from 'node:fs';
import { isFifo, openFifo } from '../../native/index.ts';
import type { Stdio } from '../store/tables/tasks.ts';
import { keyText, type ProcessKey } from './keys.ts';

/**
 * A read end of each FIFO that a process writes to, held and never read from, until the process has ended. Its shim
 * holds one too; with ours the death of the shim, at a moment when no client reads, does not break the process's pipe.
 */
export class FifoHolds {
  readonly #held = new Map<string, readonly number[]>();

  /** Paths that are no FIFOs, or not there, are passed over: it is the shim that says what is wrong with them. */
  hold(key: ProcessKey, { stdout, stderr, terminal }: Stdio): void {
    this.release(key);
    if (terminal) return; // the shim writes, and lives
    const fds = [...new Set([stdout, stderr])].flatMap(openHeld);
    if (fds.length > 0) this.#held.set(keyText(key), fds);
  }

  release(key: ProcessKey): void {
    const text = keyText(key);
    for (const fd of this.#held.get(text) ?? []) closeSync(fd);
    this.#held.delete(text);
  }

  /** Descriptors held. */
  get count(): number {
    let count = 0;
    for (const fds of this.#held.values()) count += fds.length;
    return count;
  }
}

const openHeld = (name: string): number[] => {
  const path = name.startsWith('fifo://') ? name.slice('fifo://'.length) : name;
  if (!path.startsWith('/') || !isFifo(path)) return [];
  try {
    return [openFifo(path, { read: true })];
  } catch {
    return [];
  }
};
