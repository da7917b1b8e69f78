import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Exit } from '../store/tables/tasks.ts';

/** An exit as our own shim writes it down before anybody is told of it. */
export interface ExitRecord extends Exit {
  readonly pid: number;
}

/**
 * The record of a process's end, `<bundle>/exits/init` or `<bundle>/exits/exec-<id>`: one JSON document, padded.
 * undefined: the process has not ended as far as its record knows.
 */
export const readExitRecord = (bundle: string, execId: string): ExitRecord | undefined => {
  try {
    const path = join(bundle, 'exits', execId === '' ? 'init' : `exec-${execId}`);
    const { pid, status, exitedAt }: Partial<Record<'pid' | 'status' | 'exitedAt', unknown>> = JSON.parse(
      readFileSync(path, 'utf8').replaceAll('\0', ''),
    );
    if (typeof pid !== 'number' || typeof status !== 'number' || typeof exitedAt !== 'string') return undefined;
    return { pid, status, exitedAt: BigInt(exitedAt) };
  } catch {
    return undefined; // absent, only allocated, or cut
  }
};
