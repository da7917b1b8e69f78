import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { codes } from '../../common/errdefs.ts';
import { TtrpcClient } from '../../common/ttrpc/client.ts';
import { TaskPaused } from '../../proto/gen/containerd/events/event_payloads.ts';
import { EventsDefinition, ForwardRequest } from '../../proto/gen/containerd/services/events/ttrpc/v1/events_ttrpc.ts';
import { ConnectRequest, CreateTaskRequest, TaskDefinition } from '../../proto/gen/containerd/task/v2/task_v2.ts';
import { Status } from '../../proto/gen/containerd/v1/types/task_types.ts';
import { ttrpcServerContract } from '../contract/ttrpc-server-contract.ts';
import { until } from '../unit/ttrpc-harness.ts';
import { GoShim, PrivateContainerd } from './ttrpc-go-harness.ts';

// The Go shim and a real containerd, as servers to our client and as clients of our server.

const LIMIT = { timeout: 60_000 };
const SIGKILL = 9;

let shim: GoShim;
let shimPid = 0;
let client: TtrpcClient;
let containerd: PrivateContainerd;

before(async () => {
  [shim, containerd] = await Promise.all([GoShim.start(), PrivateContainerd.start()]);
  client = await shim.connect();
  shimPid = (await client.call(TaskDefinition, 'connect', { id: '' })).shimPid;
}, LIMIT);

after(async () => {
  client?.close();
  await Promise.all([shim?.remove(shimPid), containerd?.remove()]);
}, LIMIT);

const paused = (): ForwardRequest => ({
  envelope: {
    timestamp: { seconds: BigInt(Math.floor(Date.now() / 1000)), nanos: 0 },
    namespace: 'default',
    topic: '/tasks/paused',
    event: {
      typeUrl: 'containerd.events.TaskPaused',
      value: Buffer.from(TaskPaused.encode({ containerId: 'from-us' }).finish()),
    },
  },
});

const socketTo = async (path: string, t: TestContext) => {
  const socket = connect(path);
  await once(socket, 'connect');
  t.after(() => socket.destroy());
  return socket;
};

ttrpcServerContract('the Go shim', {
  service: 'containerd.task.v2.Task',
  method: 'Connect',
  payload: Buffer.from(ConnectRequest.encode({ id: 'nobody' }).finish()),
  connect: (t) => socketTo(shim.path, t),
});

ttrpcServerContract('containerd', {
  service: 'containerd.services.events.ttrpc.v1.Events',
  method: 'Forward',
  payload: Buffer.from(ForwardRequest.encode(paused()).finish()),
  connect: (t) => socketTo(containerd.ttrpcPath, t),
});

test('errors of the Go shim have their codes: an unknown container, a bundle that is none', LIMIT, async () => {
  await assert.rejects(client.call(TaskDefinition, 'state', { id: 'nobody', execId: '' }), { code: codes.notFound });
  const bogus = CreateTaskRequest.create({ id: 'bogus', bundle: '/nonexistent/bundle' });
  await assert.rejects(client.call(TaskDefinition, 'create', bogus), (error: { code: number; message: string }) => {
    assert.ok([codes.unknown, codes.notFound].includes(error.code as 2), String(error.code));
    assert.match(error.message, /nonexistent/);
    return true;
  });
});

test(
  'a real container lives and dies through the Go shim, and its events reach our server in order',
  LIMIT,
  async () => {
    const { id } = shim;
    const created = await client.call(TaskDefinition, 'create', CreateTaskRequest.create({ id, bundle: shim.bundle }));
    assert.ok(created.pid > 0);
    assert.deepEqual(await client.call(TaskDefinition, 'start', { id, execId: '' }), created);
    const state = await client.call(TaskDefinition, 'state', { id, execId: '' });
    assert.deepEqual([state.status, state.pid, state.bundle], [Status.RUNNING, created.pid, shim.bundle]);

    const waiting = client.call(TaskDefinition, 'wait', { id, execId: '' });
    await assert.rejects(client.call(TaskDefinition, 'wait', { id, execId: '' }, { timeoutMs: 50 }), {
      code: codes.deadlineExceeded,
    });
    await client.call(TaskDefinition, 'kill', { id, execId: '', signal: SIGKILL, all: false });
    assert.equal((await waiting).exitStatus, 137);
    assert.equal((await client.call(TaskDefinition, 'delete', { id, execId: '' })).exitStatus, 137);

    const topics = (): (string | undefined)[] => shim.forwarded.map(({ request }) => request.envelope?.topic);
    await until(() => topics().includes('/tasks/delete'));
    assert.deepEqual(topics(), ['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
    for (const { request, context } of shim.forwarded) {
      assert.equal(request.envelope?.namespace, shim.namespace);
      assert.deepEqual(context.metadata.get('containerd-namespace-ttrpc'), [shim.namespace]);
      assert.ok((context.deadlineMs ?? 0) > 0 && (context.deadlineMs ?? 0) <= 5000, 'the deadline of the Go client');
    }
  },
);

test('a thousand calls at once on one connection to the Go shim are all answered', LIMIT, async () => {
  const calls = Array.from({ length: 1000 }, () => client.call(TaskDefinition, 'connect', { id: '' }));
  assert.equal(new Set((await Promise.all(calls)).map((answer) => answer.shimPid)).size, 1);
});

test('an event that we forward to containerd is seen by ctr', LIMIT, async (t) => {
  const ctr = spawn('ctr', ['--address', containerd.address, 'events'], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => ctr.kill());
  let output = '';
  ctr.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const events = await TtrpcClient.connect(containerd.ttrpcPath);
  t.after(() => events.close());
  while (!output.includes('\n')) {
    // Until ctr has subscribed, nobody sees them.
    await events.call(EventsDefinition, 'forward', paused());
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.match(output, /default \/tasks\/paused \{"container_id":"from-us"\}/);
});

test('an event that containerd refuses is refused with its code and text', LIMIT, async (t) => {
  const events = await TtrpcClient.connect(containerd.ttrpcPath);
  t.after(() => events.close());
  const { envelope } = paused();
  assert.ok(envelope);
  await assert.rejects(events.call(EventsDefinition, 'forward', { envelope: { ...envelope, topic: 'no-slash' } }), {
    code: codes.invalidArgument,
    message: /no-slash/,
  });
});

test('containerd runs a task through a shim that is served by us', LIMIT, async () => {
  const { launcher, journal } = fakeShim();
  const run = ['run', '-d', '--null-io', '--runtime', launcher, '--rootfs', containerd.rootfs, 'web', 'sleep', '1000'];
  await succeed(...run);
  assert.match(await succeed('task', 'ls'), /web\s+\d+\s+RUNNING/);
  assert.match(await succeed('task', 'ps', 'web'), /^\d+\s/m);
  assert.match(await fail('task', 'pause', 'web'), /this one cannot be paused: failed precondition/);
  assert.match(await fail('task', 'exec', '--exec-id', 'x', 'web', 'true'), /exec: not implemented/);
  await succeed('task', 'kill', '-s', 'SIGKILL', 'web');
  // ctr exits as the task did, with 137.
  assert.equal((await containerd.ctr('task', 'delete', 'web')).output.includes('rpc error'), false);
  await succeed('container', 'delete', 'web');

  const calls = journal();
  const methods = new Set(calls.map(({ method }) => method));
  for (const method of ['Create', 'Start', 'State', 'Pids', 'Kill', 'Delete', 'Shutdown', 'Pause', 'Exec']) {
    assert.ok(methods.has(method), `${method} in ${[...methods].join(' ')}`);
  }
  const deadlines = new Map(calls.map(({ method, deadlineMs }) => [method, deadlineMs]));
  for (const [method, mostMs] of [
    ['State', 2000],
    ['Shutdown', 3000],
  ] as const) {
    const deadlineMs = deadlines.get(method) ?? 0;
    assert.ok(deadlineMs > 0 && deadlineMs <= mostMs, `containerd gives ${method} ${deadlineMs} ms`);
  }
});

interface JournalLine {
  readonly method: string;
  readonly deadlineMs?: number;
}

/** A runtime for containerd, and what it has been asked so far. */
const fakeShim = (): { launcher: string; journal: () => JournalLine[] } => {
  const launcher = join(containerd.folder, 'launcher');
  const journal = join(containerd.folder, 'journal');
  const program = join(import.meta.dirname, 'ttrpc-fake-shim.ts');
  const command = `exec ${process.execPath} --no-warnings ${program} "$@"`;
  writeFileSync(launcher, `#!/bin/sh\nexport FAKE_SHIM_JOURNAL=${journal}\n${command}\n`);
  chmodSync(launcher, 0o755);
  const lines = (): string[] => readFileSync(journal, 'utf8').trim().split('\n');
  return { launcher, journal: () => lines().map((line) => JSON.parse(line) as JournalLine) };
};

const succeed = async (...args: readonly string[]): Promise<string> => {
  const { code, output } = await containerd.ctr(...args);
  assert.equal(code, 0, `ctr ${args.join(' ')}: ${output}`);
  return output;
};

const fail = async (...args: readonly string[]): Promise<string> => {
  const { code, output } = await containerd.ctr(...args);
  assert.notEqual(code, 0, output);
  return output;
};

test('Shutdown ends the Go shim, and a call after that is Unavailable', LIMIT, async () => {
  await client.call(TaskDefinition, 'shutdown', { id: shim.id, now: false });
  await client.closed;
  await assert.rejects(client.call(TaskDefinition, 'connect', { id: '' }), { code: codes.unavailable });
});
