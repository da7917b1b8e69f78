// A shim in miniature, for containerd to be a client of: no containers, each task is a `sleep` of its own. It writes down
// what it was asked. Run by a launcher: `<program> -namespace N -address A -id I … start|delete`.
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { failedPrecondition, notFound, unimplemented } from '../../common/errdefs.ts';
import { timestampFromNanos } from '../../common/timestamp.ts';
import type { CallContext, Handlers } from '../../common/ttrpc/handler.ts';
import { TtrpcServer } from '../../common/ttrpc/server.ts';
import { DeleteResponse, TaskDefinition } from '../../proto/gen/containerd/task/v2/task_v2.ts';
import { Status } from '../../proto/gen/containerd/v1/types/task_types.ts';

/** Where the calls are written down, one JSON line each. */
const journal = process.env['FAKE_SHIM_JOURNAL'] ?? '';
/** Whatever becomes of the test, nothing is left of it after this, ms. */
const LIFE_MS_MAX = 60_000;
const socketPath = join(process.cwd(), 'fake.sock');

interface Task {
  readonly id: string;
  readonly bundle: string;
  readonly child: ChildProcess;
  readonly exited: Promise<{ exitStatus: number; exitedAt: ReturnType<typeof now> }>;
  status: Status;
}

const now = () => timestampFromNanos(BigInt(Date.now()) * 1_000_000n);

const start = async (): Promise<void> => {
  const args = ['--no-warnings', import.meta.filename, 'serve'];
  const child = spawn(process.execPath, args, { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  child.unref();
  await new Promise((resolve) => child.stdout.once('data', resolve));
  process.stdout.write(`unix://${socketPath}`);
  child.stdout.destroy();
};

const serve = (): void => {
  const server = new TtrpcServer().serve(TaskDefinition, written(taskHandlers()));
  setTimeout(() => process.exit(1), LIFE_MS_MAX).unref();
  createServer((socket) => server.accept(socket)).listen(socketPath, () => process.stdout.write('ready'));
};

const beginTask = (id: string, bundle: string): Task => {
  const child = spawn('sleep', [String(LIFE_MS_MAX / 1000)], { stdio: 'ignore' });
  const exited = new Promise<{ exitStatus: number; exitedAt: ReturnType<typeof now> }>((resolve) =>
    child.on('exit', (code, signal) => {
      task.status = Status.STOPPED;
      resolve({ exitStatus: code ?? (signal === 'SIGKILL' ? 137 : 143), exitedAt: now() });
    }),
  );
  const task: Task = { id, bundle, child, exited, status: Status.CREATED };
  return task;
};

const taskHandlers = (): Handlers<typeof TaskDefinition> => {
  let task: Task | undefined;
  const find = (id: string): Task => {
    if (task?.id !== id) throw notFound('container', id);
    return task;
  };
  const refuse = (what: string) => async (): Promise<never> => {
    throw unimplemented(what);
  };
  return {
    create: async ({ id, bundle }) => {
      task = beginTask(id, bundle);
      return { pid: task.child.pid ?? 0 };
    },
    start: async ({ id }) => {
      find(id).status = Status.RUNNING;
      return { pid: find(id).child.pid ?? 0 };
    },
    state: async ({ id }) => {
      const { bundle, child, status, exited } = find(id);
      const ended = status === Status.STOPPED ? await exited : { exitStatus: 0, exitedAt: undefined };
      const io = { stdin: '', stdout: '', stderr: '', terminal: false, execId: '' };
      return { id, bundle, pid: child.pid ?? 0, status, ...io, ...ended };
    },
    kill: async ({ id, signal }) => {
      find(id).child.kill(signal);
      return {};
    },
    wait: async ({ id }) => find(id).exited,
    delete: async ({ id }) => {
      const { child, exited } = find(id);
      const ended = await exited;
      task = undefined;
      return { pid: child.pid ?? 0, ...ended };
    },
    connect: async () => ({ shimPid: process.pid, taskPid: task?.child.pid ?? 0, version: 'v2' }),
    shutdown: async () => {
      setTimeout(() => process.exit(0), 100);
      rmSync(socketPath, { force: true });
      return {};
    },
    pause: async () => {
      throw failedPrecondition('this one cannot be paused');
    },
    resume: refuse('resume'),
    pids: async ({ id }) => ({ processes: [{ pid: find(id).child.pid ?? 0, info: undefined }] }),
    checkpoint: refuse('checkpoint'),
    exec: refuse('exec'),
    resizePty: refuse('resize'),
    closeIO: refuse('close'),
    update: refuse('update'),
    stats: refuse('stats'),
  };
};

/** The same handlers, each call written down when it begins. */
const written = (handlers: Handlers<typeof TaskDefinition>): Handlers<typeof TaskDefinition> => {
  const wrap = ([key, handler]: [string, unknown]): [string, unknown] => [
    key,
    (request: unknown, context: CallContext) => {
      const { method, deadlineMs } = context;
      appendFileSync(journal, `${JSON.stringify({ method, deadlineMs })}\n`);
      return (handler as (request: unknown, context: CallContext) => unknown)(request, context);
    },
  ];
  return Object.fromEntries(Object.entries(handlers).map(wrap)) as unknown as Handlers<typeof TaskDefinition>;
};

const command = process.argv.at(-1);
if (command === 'serve') serve();
else if (command === 'start') await start();
else process.stdout.write(DeleteResponse.encode({ pid: 0, exitStatus: 137, exitedAt: now() }).finish());
