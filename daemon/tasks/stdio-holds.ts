import { closeSync } from 'node:fs';
import { isFifo, openFifo } from '../../native/index.ts';
import type { Stdio } from '../store/tables/tasks.ts';
import { keyText, type ProcessKey } from './keys.ts';

/** What is held for a process: by us for its sake, and of its shim's for the next one. */
interface Held {
  readonly outputs: readonly number[];
  input: number | undefined;
  kept: ReadonlyMap<string, number>;
}

/**
 * What of a process's stdio must outlive its shim, held until the process has ended. Of FIFOs that the process has
 * itself: a read end of each output, which is never read from, and a write end of its input; the shim holds the same,
 * and with ours its death, at a moment when no client is there, neither breaks the process's pipe nor ends its input.
 * Of terminals and of pipes that the shim copies: copies of the descriptors that it alone has.
 */
export class StdioHolds {
  readonly #held = new Map<string, Held>();

  /**
   * Opens the FIFOs; `input`: the end of the input has not been asked for. Paths that are no FIFOs, or not there, are
   * passed over: it is the shim that says what is wrong with them.
   */
  hold(key: ProcessKey, { stdin, stdout, stderr, terminal }: Stdio, { input }: { readonly input: boolean }): void {
    this.release(key);
    if (terminal) return; // the shim reads and writes
    const outputs = [...new Set([stdout, stderr])].flatMap((name) => openHeld(name, { read: true }));
    const [writer] = input ? openHeld(stdin, { write: true }) : [];
    this.#held.set(keyText(key), { outputs, input: writer, kept: new Map() });
  }

  /** The process is to see the end of its input. */
  closeInput(key: ProcessKey): void {
    const held = this.#held.get(keyText(key));
    if (held?.input === undefined) return;
    closeSync(held.input);
    held.input = undefined;
  }

  /** Keeps descriptors, which pass into our hands, in the place of those that were kept before. */
  keep(key: ProcessKey, fds: ReadonlyMap<string, number>): void {
    const held = this.#held.get(keyText(key)) ?? { outputs: [], input: undefined, kept: new Map() };
    for (const fd of held.kept.values()) closeSync(fd);
    held.kept = fds;
    this.#held.set(keyText(key), held);
  }

  /** What is kept for the next shim, by name; it stays ours. */
  kept(key: ProcessKey): ReadonlyMap<string, number> {
    return this.#held.get(keyText(key))?.kept ?? new Map();
  }

  release(key: ProcessKey): void {
    const text = keyText(key);
    for (const fd of descriptorsOf(this.#held.get(text))) closeSync(fd);
    this.#held.delete(text);
  }

  /** Descriptors held. */
  get count(): number {
    let count = 0;
    for (const held of this.#held.values()) count += descriptorsOf(held).length;
    return count;
  }
}

const descriptorsOf = (held: Held | undefined): number[] =>
  held === undefined ? [] : [...held.outputs, ...(held.input === undefined ? [] : [held.input]), ...held.kept.values()];

const openHeld = (name: string, how: { readonly read: true } | { readonly write: true }): number[] => {
  const path = name.startsWith('fifo://') ? name.slice('fifo://'.length) : name;
  if (!path.startsWith('/') || !isFifo(path)) return [];
  try {
    return [openFifo(path, how)];
  } catch {
    return [];
  }
};
