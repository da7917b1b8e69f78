/**
 * Deadlines of calls to a shim that has no reason to be slow, ms. They are a little longer than those that our own shim
 * gives its runtime, so that its better-informed error comes first. Create, Start, Exec and Checkpoint have none: hooks,
 * lazy mounts, GPUs and criu may rightly take long, and their caller can cancel them. Those of State, Connect, Shutdown
 * and of cleaning up are in the configuration.
 */
export const callDeadlines = {
  killMs: 12_000,
  statsMs: 5_000,
  pidsMs: 12_000,
  pauseMs: 12_000,
  resumeMs: 12_000,
  updateMs: 12_000,
  resizePtyMs: 5_000,
  closeIoMs: 5_000,
  /** A runtime's delete may run hooks, and what a container has written is handed on first. */
  deleteMs: 90_000,
} as const;
