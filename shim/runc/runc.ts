import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '../../common/errdefs.ts';
import { lastErrorIn, RuntimeFailure } from './errors.ts';
import { findBinary, run, type RunOptions } from './run.ts';

/**
 * Deadlines of the verbs that have no reason to be slow, ms. Create, start, exec, restore and checkpoint have none of
 * ours: hooks, lazy mounts, GPUs and criu may rightly take long, and the caller can cancel them.
 */
export const runcDeadlines = {
  stateMs: 5_000,
  killMs: 10_000,
  psMs: 10_000,
  pauseMs: 10_000,
  resumeMs: 10_000,
  updateMs: 10_000,
  /** poststop hooks run in it. */
  deleteMs: 60_000,
} as const;

/** How one runtime is called for one container. */
export interface RuncOptions {
  /** A path, or a name to be found on PATH; empty: `runc`. */
  readonly binaryName: string;
  /** The runtime's state directory, with the namespace. */
  readonly root: string;
  readonly systemdCgroup: boolean;
  /** Where the runtime's log of one call lies while the call lasts. */
  readonly logDirectory: string;
}

export type RuncStdio = readonly [number, number, number];

export interface CreateOptions {
  readonly bundle: string;
  readonly pidFile: string;
  readonly consoleSocket: string | undefined;
  readonly noPivotRoot: boolean;
  readonly noNewKeyring: boolean;
}

export interface ExecOptions {
  /** JSON of an OCI Process. */
  readonly processFile: string;
  readonly pidFile: string;
  readonly consoleSocket: string | undefined;
}

export interface CheckpointOptions {
  readonly imagePath: string;
  readonly workPath: string;
  readonly leaveRunning: boolean;
  readonly tcpEstablished: boolean;
  readonly externalUnixSockets: boolean;
  readonly shellJob: boolean;
  readonly fileLocks: boolean;
  readonly emptyNamespaces: readonly string[];
  readonly cgroupsMode: string;
}

export interface RestoreOptions extends CreateOptions {
  readonly imagePath: string;
  readonly parentPath: string;
  readonly workPath: string;
}

export type RuncStatus = 'creating' | 'created' | 'running' | 'paused' | 'stopped';

/**
 * The runtime's command line, version 1.1 of runc and what is compatible with it. A failure is a RuntimeFailure with
 * the last error of the runtime's log; a call that was cut short is Canceled or DeadlineExceeded.
 */
export class Runc {
  readonly #options: RuncOptions;
  #calls = 0;

  constructor(options: RuncOptions) {
    this.#options = options;
  }

  /** True where the first process that the runtime reports is the container's own, so that we may signal it ourselves. */
  get signalsDirectly(): boolean {
    const name = this.#options.binaryName;
    return /^(runc|crun|youki)?$/.test(name.slice(name.lastIndexOf('/') + 1));
  }

  async create(id: string, options: CreateOptions, stdio: RuncStdio, signal: AbortSignal): Promise<void> {
    await this.#call('create', ['--bundle', options.bundle, ...createFlags(options), id], { stdio, signal });
  }

  async restore(id: string, options: RestoreOptions, stdio: RuncStdio, signal: AbortSignal): Promise<void> {
    const flags = ['--image-path', options.imagePath, '--work-path', options.workPath, '--detach', '--no-subreaper'];
    if (options.parentPath !== '') flags.push('--parent-path', options.parentPath);
    const own = createFlags({ ...options, noNewKeyring: false });
    await this.#call('restore', [...flags, ...own, '--bundle', options.bundle, id], { stdio, signal });
  }

  async start(id: string, signal: AbortSignal): Promise<void> {
    await this.#call('start', [id], { signal });
  }

  async exec(id: string, options: ExecOptions, stdio: RuncStdio, signal: AbortSignal): Promise<void> {
    const flags = ['--process', options.processFile, '--detach', '--pid-file', options.pidFile];
    if (options.consoleSocket !== undefined) flags.push('--console-socket', options.consoleSocket);
    await this.#call('exec', [...flags, id], { stdio, signal });
  }

  async kill(id: string, signal: number, options: { readonly all?: boolean } = {}): Promise<void> {
    const flags = options.all === true ? ['--all'] : [];
    await this.#call('kill', [...flags, id, String(signal)], { deadlineMs: runcDeadlines.killMs });
  }

  async delete(id: string, options: { readonly force?: boolean } = {}): Promise<void> {
    const flags = options.force === true ? ['--force'] : [];
    await this.#call('delete', [...flags, id], { deadlineMs: runcDeadlines.deleteMs });
  }

  async pause(id: string): Promise<void> {
    await this.#call('pause', [id], { deadlineMs: runcDeadlines.pauseMs });
  }

  async resume(id: string): Promise<void> {
    await this.#call('resume', [id], { deadlineMs: runcDeadlines.resumeMs });
  }

  /** `resources` is the JSON of an OCI LinuxResources. */
  async update(id: string, resources: string): Promise<void> {
    await this.#call('update', ['--resources', '-', id], { input: resources, deadlineMs: runcDeadlines.updateMs });
  }

  async checkpoint(id: string, options: CheckpointOptions, signal: AbortSignal): Promise<void> {
    await this.#call('checkpoint', [...checkpointFlags(options), id], { signal });
  }

  /** Process ids in our pid namespace, of all processes in the container. */
  async ps(id: string): Promise<number[]> {
    const output = await this.#call('ps', ['--format', 'json', id], { deadlineMs: runcDeadlines.psMs });
    const pids: unknown = JSON.parse(output.trim() || 'null');
    return Array.isArray(pids) ? pids.filter((pid) => typeof pid === 'number') : [];
  }

  /** undefined: the runtime does not know the container. */
  async state(id: string): Promise<RuncStatus | undefined> {
    try {
      const output = await this.#call('state', [id], { deadlineMs: runcDeadlines.stateMs });
      const state: { status?: RuncStatus } = JSON.parse(output);
      return state.status;
    } catch (error) {
      if (error instanceof RuntimeFailure && error.detail.includes('does not exist')) return undefined;
      throw error;
    }
  }

  async #call(verb: string, args: readonly string[], options: Omit<RunOptions, 'what'>): Promise<string> {
    const { root, systemdCgroup, logDirectory } = this.#options;
    const name = this.#options.binaryName || 'runc';
    // One log a call: two calls at once must not read each other's errors.
    const log = join(logDirectory, `runtime-${process.pid}-${(this.#calls += 1)}.json`);
    const global = ['--root', root, '--log', log, '--log-format', 'json'];
    if (systemdCgroup) global.push('--systemd-cgroup');
    try {
      const what = `${name.slice(name.lastIndexOf('/') + 1)} ${verb}`;
      return await run(findBinary(name), [...global, verb, ...args], { ...options, what });
    } catch (error) {
      if (error instanceof CodedError) throw error;
      throw new RuntimeFailure(lastErrorIn(log) ?? (error instanceof Error ? error.message : String(error)), {
        cause: error,
      });
    } finally {
      rmSync(log, { force: true });
    }
  }
}

const createFlags = (options: CreateOptions): string[] => {
  const flags = ['--pid-file', options.pidFile];
  if (options.consoleSocket !== undefined) flags.push('--console-socket', options.consoleSocket);
  if (options.noPivotRoot) flags.push('--no-pivot');
  if (options.noNewKeyring) flags.push('--no-new-keyring');
  return flags;
};

const checkpointFlags = (options: CheckpointOptions): string[] => {
  const flags = ['--image-path', options.imagePath, '--work-path', options.workPath];
  if (options.tcpEstablished) flags.push('--tcp-established');
  if (options.externalUnixSockets) flags.push('--ext-unix-sk');
  if (options.shellJob) flags.push('--shell-job');
  if (options.fileLocks) flags.push('--file-locks');
  if (options.cgroupsMode !== '') flags.push('--manage-cgroups-mode', options.cgroupsMode);
  for (const namespace of options.emptyNamespaces) flags.push('--empty-ns', namespace);
  if (options.leaveRunning) flags.push('--leave-running');
  return flags;
};
