import { randomBytes } from 'node:crypto';
import type { Client } from '../client/connect.ts';
import { nullStdio, type StdioPaths } from '../client/io/stdio.ts';
import { terminalSize } from '../client/io/terminal.ts';
import type { Process } from '../client/process.ts';
import type { ProcessSpec } from '../client/spec/runtime-spec.ts';
import { findUser } from '../client/spec/users.ts';
import { attached } from './attached.ts';
import { discard } from './discard.ts';
import { Failure } from './failure.ts';
import type { Place } from './shell-of.ts';
import { notRunning, taskStatus } from './task-status.ts';
import { unstartable } from './unstartable.ts';

export interface ExecOptions {
  readonly interactive?: true;
  readonly tty?: true;
  readonly detach?: true;
  readonly env?: ReadonlyMap<string, string>;
  readonly user?: string;
  readonly workdir?: string;
}

export interface Target {
  /** Of the container. */
  readonly id: string;
  /** The program and its arguments. */
  readonly args: (place: Place) => readonly string[];
}

/** Runs a process in a running container. Gives its exit status; with `detach` 0. */
export const exec = async (client: Client, { id, args }: Target, options: ExecOptions): Promise<number> => {
  const container = client.containers.of(id);
  const { spec } = await container.info();
  const { pid, state } = await taskStatus(client, id);
  if (state !== 'running') throw notRunning(id, state);
  if (spec?.process === undefined) throw new Failure(`container "${id}" has no process specification to go by`);
  const rootfs = `/proc/${pid}/root`;
  const base = specOf(spec.process, rootfs, options);
  const processSpec = { ...base, args: [...args({ rootfs, process: base })] };
  const execId = `exec-${randomBytes(6).toString('hex')}`;

  await using cleanup = new AsyncDisposableStack();
  const add = async (stdio: StdioPaths, signal?: AbortSignal): Promise<Process> => {
    cleanup.defer(() => discard(container.task.process(execId)));
    return container.task.exec(execId, processSpec, stdio, signal);
  };
  try {
    if (options.detach === true) {
      await (await add({ ...nullStdio, terminal: options.tty === true })).start();
      cleanup.move();
      return 0;
    }
    const how = { id: execId, interactive: options.interactive === true, terminal: options.tty === true };
    const outcome = await attached(how, add);
    return outcome === 'detached' ? 0 : outcome.status; // there are no keys for that
  } catch (error) {
    throw unstartable(error);
  }
};

/** As the container's first process, apart from what was asked for. `rootfs`: as it is now, mounts and all. */
const specOf = (of: ProcessSpec, rootfs: string, options: ExecOptions): ProcessSpec => {
  const terminal = options.tty === true;
  const size = terminal ? terminalSize(process.stdout) : undefined;
  const names = new Set(options.env?.keys());
  const inherited = (of.env ?? []).filter((variable) => !names.has(variable.slice(0, variable.indexOf('='))));
  const hasTerm = names.has('TERM') || inherited.some((variable) => variable.startsWith('TERM='));
  const { consoleSize: _, ...rest } = of; // of the container's own terminal
  return {
    ...rest,
    terminal,
    ...(size === undefined ? {} : { consoleSize: { width: size.columns, height: size.rows } }),
    env: [
      ...inherited,
      ...(terminal && !hasTerm ? ['TERM=xterm'] : []),
      ...[...(options.env ?? [])].map(([name, value]) => `${name}=${value}`),
    ],
    ...(options.user === undefined ? {} : { user: findUser(rootfs, options.user) }),
    ...(options.workdir === undefined ? {} : { cwd: options.workdir }),
  };
};
