import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_PATH, NOFILE_SOFT_VARIABLE, SHIM_ENVIRONMENT_KEYS } from '../../common/bootstrap.ts';

/** How our own shim is run: a command, and what comes before its arguments. */
export interface ShimProgram {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** No threads but the main one, which alone survives a fork; no signal that starts a debugger, no warnings. */
const NODE_FLAGS = ['--single-threaded', '--v8-pool-size=0', '--disable-sigusr1', '--no-warnings', '--expose-gc'];

/** Resolved once: an installation that is replaced under us must not start shims of another version half-way. */
export const shimProgram = (): ShimProgram => {
  const here = import.meta.dirname;
  // Bundled, the two lie side by side; in development the sources run as they are.
  const entry = import.meta.filename.endsWith('.ts') ? join(here, '../../shim/main.ts') : join(here, 'shim.mjs');
  return { command: process.execPath, args: [...NODE_FLAGS, entry], env: shimEnvironment() };
};

const shimEnvironment = (): NodeJS.ProcessEnv => {
  // One arena: a shim allocates on one thread, and what glibc keeps for others is memory for nothing.
  const env: NodeJS.ProcessEnv = { PATH: DEFAULT_PATH, MALLOC_ARENA_MAX: '1' };
  for (const key of SHIM_ENVIRONMENT_KEYS) {
    const value = process.env[key];
    if (value !== undefined && value !== '') env[key] = value;
  }
  const limit = process.env[NOFILE_SOFT_VARIABLE] ?? parentOpenFilesLimit();
  if (limit !== undefined) env[NOFILE_SOFT_VARIABLE] = limit;
  return env;
};

/** Node has raised our own soft limit; who started us still has what we were given. */
const parentOpenFilesLimit = (): string | undefined => {
  try {
    return /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${process.ppid}/limits`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
};

/** Our own score and one more: of a shim and us, the shim goes first. */
export const shimOomScore = (): number => {
  try {
    return Math.min(1000, Number(readFileSync('/proc/self/oom_score_adj', 'utf8')) + 1);
  } catch {
    return 0;
  }
};
