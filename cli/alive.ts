import type { ProcessState } from '../client/process-status.ts';

/** States of what has begun and not ended: it must end before it can be deleted. */
export const alive: ReadonlySet<ProcessState> = new Set(['running', 'paused', 'pausing'] as const);
