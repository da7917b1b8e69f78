import type { Exit } from '../store/tables/tasks.ts';
import type { ProcessKey } from './keys.ts';
import type { TaskParts } from './parts.ts';
import { requireProcess } from './registry.ts';

/**
 * How a process has ended; waits until it has. Answered from what we know ourselves, not by a call into the shim: before
 * the start as well as after the end, and after a restart of ours for a client that asks again.
 */
export const waitProcess = async (parts: TaskParts, key: ProcessKey, signal: AbortSignal): Promise<Exit> =>
  // A wait may last for days: a stop of ours does not wait for it, and its client asks the next daemon.
  requireProcess(parts, key).exit ?? (await parts.exits.next(key, AbortSignal.any([signal, parts.stopping])));
