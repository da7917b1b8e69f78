import type { ContainerRow } from '../list-containers.ts';
import { duration } from './human.ts';

/** `Up 3 minutes`, `Exited (7) 2 minutes ago`, `Created`: Docker's words. `Not running`: it has no task. */
export const statusWords = (
  { state, startedAtNanos, exit }: Pick<ContainerRow, 'state' | 'startedAtNanos' | 'exit'>,
  nowNanos: bigint,
): string => {
  const up = startedAtNanos === undefined ? 'Up' : `Up ${duration(nowNanos - startedAtNanos)}`;
  switch (state) {
    case 'running':
      return up;
    case 'paused':
    case 'pausing':
      return `${up} (Paused)`;
    case 'created':
      return 'Created';
    case 'stopped': {
      const { status = 255, atNanos = 0n } = exit ?? {};
      return atNanos === 0n ? `Exited (${status})` : `Exited (${status}) ${duration(nowNanos - atNanos)} ago`;
    }
    case 'none':
      return 'Not running';
    case 'unknown':
      return 'Unknown';
  }
};
