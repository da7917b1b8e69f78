import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import type { Client } from '../../client/connect.ts';
import type { Container } from '../../client/container.ts';
import { nullStdio, type StdioPaths } from '../../client/io/stdio.ts';
import { terminalSize } from '../../client/io/terminal.ts';
import type { Process } from '../../client/process.ts';
import type { ProcessStatus } from '../../client/process-status.ts';
import type { ProcessSpec } from '../../client/spec/runtime-spec.ts';
import { findUser } from '../../client/spec/users.ts';
import { isNotFound } from '../../common/errdefs.ts';
import { attached } from '../attached.ts';
import { discard } from '../discard.ts';
import { Failure } from '../failure.ts';
import { collectEnv } from '../parse/pairs.ts';
import { clientOf } from '../session.ts';
import { unstartable } from '../unstartable.ts';

interface ExecOptions {
  readonly interactive?: true;
  readonly tty?: true;
  readonly detach?: true;
  readonly env?: ReadonlyMap<string, string>;
  readonly user?: string;
  readonly workdir?: string;
}

const MORE = `
The exit status is that of the command: 126 if it cannot be invoked, 127 if there is no such command, 125 if it could
not be run for another reason. An attached command ends with us; with -d it goes on, and its output is dropped.`;

export const addExec = (program: Command): void => {
  const command = program
    .command('exec')
    .description('run a command in a running container')
    .usage('[options] <id> <command> [args…]')
    .argument('<id>', 'the container')
    .argument('<command>', 'the program, as the container finds it')
    .argument('[args...]', 'its arguments')
    .option('-d, --detach', 'leave the command to itself')
    .option('-i, --interactive', 'give it our input')
    .option('-t, --tty', 'give it a terminal')
    .option('-e, --env <name=value>', 'environment variable; NAME alone passes ours on', collectEnv)
    .option('-u, --user <name[:group]>', "user and group, by name or number, as the container's /etc/passwd has them")
    .option('-w, --workdir <dir>', 'working directory in the container')
    .passThroughOptions()
    .addHelpText('after', MORE)
    .action(async (id: string, first: string, rest: readonly string[], options: ExecOptions) => {
      await using client = clientOf(command);
      process.exitCode = await exec(client, { id, args: [first, ...rest] }, options);
    });
};

/** Gives the exit status of the command; with `detach` 0. */
const exec = async (
  client: Client,
  { id, args }: { readonly id: string; readonly args: readonly string[] },
  options: ExecOptions,
): Promise<number> => {
  const container = client.containers.of(id);
  const { spec } = await container.info();
  const { pid, state } = await statusOf(container);
  if (state !== 'running') throw new Failure(`container "${id}" is not running, but ${state}`);
  if (spec?.process === undefined) throw new Failure(`container "${id}" has no process specification to go by`);
  const processSpec = specOf(spec.process, { args, rootfs: `/proc/${pid}/root` }, options);
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
    return (await attached(how, add)).status;
  } catch (error) {
    throw unstartable(error);
  }
};

const statusOf = async ({ id, task }: Container): Promise<ProcessStatus> => {
  try {
    return await task.status();
  } catch (error) {
    throw isNotFound(error) ? new Failure(`container "${id}" is not running`, { cause: error }) : error;
  }
};

/** As the container's first process, apart from what was asked for. `rootfs`: as it is now, mounts and all. */
const specOf = (
  of: ProcessSpec,
  { args, rootfs }: { readonly args: readonly string[]; readonly rootfs: string },
  options: ExecOptions,
): ProcessSpec => {
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
    args: [...args],
    env: [
      ...inherited,
      ...(terminal && !hasTerm ? ['TERM=xterm'] : []),
      ...[...(options.env ?? [])].map(([name, value]) => `${name}=${value}`),
    ],
    ...(options.user === undefined ? {} : { user: findUser(rootfs, options.user) }),
    ...(options.workdir === undefined ? {} : { cwd: options.workdir }),
  };
};
