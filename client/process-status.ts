import { nanosFromTimestamp } from '../common/timestamp.ts';
import { Status, type Process as ProcessMessage } from '../proto/gen/containerd/v1/types/task_types.ts';
import type { Timestamp } from '../proto/gen/google/protobuf/timestamp.ts';
import type { StdioPaths } from './io/stdio.ts';

export type ProcessState = 'unknown' | 'created' | 'running' | 'stopped' | 'paused' | 'pausing';

/** How a process ended. */
export interface Exit {
  /** The exit code; 128 and the signal's number if a signal ended it; 255 also if nobody saw how it ended. */
  readonly status: number;
  /** When, nanoseconds since 1970; 0n: not known. */
  readonly atNanos: bigint;
}

export interface ProcessStatus {
  /** Of the container, or of the exec. */
  readonly id: string;
  readonly state: ProcessState;
  /** In the daemon's pid namespace. A stopped process has the one it had, or 0. */
  readonly pid: number;
  /** Present when `state` is `stopped`. */
  readonly exit: Exit | undefined;
  readonly stdio: StdioPaths;
}

const states: Readonly<Record<Status, ProcessState>> = {
  [Status.UNKNOWN]: 'unknown',
  [Status.CREATED]: 'created',
  [Status.RUNNING]: 'running',
  [Status.STOPPED]: 'stopped',
  [Status.PAUSED]: 'paused',
  [Status.PAUSING]: 'pausing',
};

export const statusOf = (process: ProcessMessage): ProcessStatus => {
  const { id, pid, stdin, stdout, stderr, terminal } = process;
  const state = states[process.status] ?? 'unknown'; // a later version may have more of them
  return {
    id,
    state,
    pid,
    exit: state === 'stopped' ? exitOf(process) : undefined,
    stdio: { stdin, stdout, stderr, terminal },
  };
};

export const exitOf = (of: { readonly exitStatus: number; readonly exitedAt: Timestamp | undefined }): Exit => ({
  status: of.exitStatus,
  atNanos: nanosFromTimestamp(of.exitedAt),
});
