import { closeSync } from 'node:fs';
import net from 'node:net';
import type { ShimIdentity } from '../common/bootstrap.ts';
import { TtrpcClient } from '../common/ttrpc/client.ts';
import { TtrpcServer } from '../common/ttrpc/server.ts';
import { nowNanos, pidfdOpen, Poller, socketPair } from '../native/index.ts';
import { TaskDefinition } from '../proto/gen/containerd/task/v2/task_v2.ts';
import { taskEvents } from './events.ts';
import { collectAll } from './garbage.ts';
import { openIo } from './io/process-io.ts';
import { newLedger } from './ledger.ts';
import { Outbox } from './outbox.ts';
import { lastErrorIn } from './runc/errors.ts';
import { findBinary, run } from './runc/run.ts';
import { taskService } from './service.ts';
import { Shim } from './shim.ts';
import { Reaper } from './exits.ts';

/** Nobody: what asks for it is answered NotFound. */
const NOBODY: ShimIdentity = {
  namespace: 'warm-up',
  id: 'warm-up',
  group: 'warm-up',
  state: '/nonexistent',
  address: '',
  ttrpcAddress: '',
  debug: false,
  stdio: 'fifo',
};
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/**
 * Has code loaded and compiled that a shim would otherwise compile while a client waits for its container (10–15 ms of a
 * create, measured): calls for a container that does not exist over a connection to ourselves, and a program that does
 * nothing. Touches no file, and leaves nothing open or under way between two steps.
 */
export async function* warmUp(): AsyncGenerator<void, void, void> {
  for (const step of [callOurselves, runNothing, openNothing]) {
    await step().catch(() => undefined); // nothing depends on it
    yield;
  }
  collectAll();
}

const callOurselves = async (): Promise<void> => {
  const [ours, theirs] = socketPair('stream');
  const outbox = new Outbox({ path: '/dev/null', log: silent, forward: async () => undefined });
  using reaper = new Reaper();
  const parts = { identity: NOBODY, log: silent, outbox, reaper, background: () => undefined };
  const paths = { directory: '/nonexistent', socket: '', ledger: '/nonexistent/ledger', outbox: '', handout: '' };
  const shim = new Shim(newLedger(NOBODY), paths, parts);
  const server = new TtrpcServer().serve(TaskDefinition, taskService({ shim, shutdown: () => undefined }));
  server.accept(new net.Socket({ fd: theirs }));
  const client = new TtrpcClient(new net.Socket({ fd: ours }));
  try {
    await client.call(TaskDefinition, 'connect', { id: NOBODY.id });
    const { id } = NOBODY;
    const refused = [
      client.call(TaskDefinition, 'create', { ...createRequest, id }),
      client.call(TaskDefinition, 'start', { id, execId: '' }),
      client.call(TaskDefinition, 'state', { id, execId: '' }),
      client.call(TaskDefinition, 'exec', { ...createRequest, id, execId: 'x', spec: undefined }),
      client.call(TaskDefinition, 'delete', { id, execId: '' }),
    ];
    await Promise.allSettled(refused);
  } finally {
    client.close();
    await server.close();
    outbox.close();
  }
  const exit = { id: '', execId: '', pid: 1, status: 0, exitedAt: nowNanos(), sequence: 0n };
  taskEvents.exit(exit);
  taskEvents.delete(exit);
  taskEvents.start('', 1);
};

const createRequest = {
  bundle: '/nonexistent',
  rootfs: [],
  terminal: false,
  stdin: '',
  stdout: '',
  stderr: '',
  checkpoint: '',
  parentCheckpoint: '',
  options: undefined,
};

const runNothing = async (): Promise<void> => {
  await run(findBinary('true'), ['warm-up'], { what: 'warm-up', input: '' });
  lastErrorIn('/dev/null');
};

const openNothing = async (): Promise<void> => {
  const key = { bundle: '/nonexistent', namespace: NOBODY.namespace, id: NOBODY.id, execId: '' };
  const kind = { terminal: false, uid: 0, gid: 0, selinux: false, pipes: false, restored: false };
  const io = await openIo({ stdin: '', stdout: '', stderr: '', ...key, ...kind }, new AbortController().signal);
  await run(findBinary('true'), [], { what: 'warm-up', stdio: io.stdio });
  io.snapshot();
  await io.started(new AbortController().signal);
  io.release();
  await io.close();
  const pidfd = pidfdOpen(process.pid);
  new Poller(pidfd, { readable: true }, () => undefined).close();
  closeSync(pidfd);
};
