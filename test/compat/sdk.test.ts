import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { connect, type Client } from '../../client/connect.ts';
import type { Container } from '../../client/container.ts';
import type { Event } from '../../client/events.ts';
import { AttachedStdio } from '../../client/io/attached-stdio.ts';
import { nullStdio } from '../../client/io/stdio.ts';
import { createSpec } from '../../client/spec/create-spec.ts';
import type { ProcessSpec } from '../../client/spec/runtime-spec.ts';
import type { Task } from '../../client/task.ts';
import { type Code, codeOf, codes } from '../../common/errdefs.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { compareSides, type Side } from './sides.ts';

// The SDK's main types on containerd and on ours: what it says it does, it does on both.

const bed = testBed();
const compare = compareSides(bed);

const SIGKILL = 9;
const SIGTERM = 15;

/** Does something with a client of one side. */
const using = async <T>({ daemon }: Side, act: (client: Client) => Promise<T>): Promise<T> => {
  await using client = connect({ address: daemon.address, namespace: daemon.namespace });
  return await act(client);
};

interface New {
  readonly labels?: ReadonlyMap<string, string>;
  readonly terminal?: boolean;
}

const create = (side: Side, client: Client, id: string, args: readonly string[], options: New = {}) => {
  const { labels = new Map(), terminal = false } = options;
  const spec = createSpec({ namespace: client.namespace, id, rootfs: side.rootfs, args, terminal });
  return client.containers.create({ id, spec, labels });
};

/** Starts a container that stays. */
const start = async (side: Side, client: Client, id: string, ...args: readonly string[]): Promise<Task> => {
  const container = await create(side, client, id, args.length > 0 ? args : ['sleep', '1000']);
  const task = await container.createTask(nullStdio);
  await task.start();
  return task;
};

const processSpec = async (container: Container, ...args: string[]): Promise<ProcessSpec> => {
  const { spec } = await container.info();
  assert.ok(spec?.process !== undefined);
  return { ...spec.process, args };
};

/** The code with which something fails. */
const refusal = async (promise: Promise<unknown>): Promise<Code> => {
  try {
    await promise;
  } catch (error) {
    return codeOf(error);
  }
  return codes.ok;
};

/** A delete of what runs: ours says what is wrong, containerd 1.6 has no code for it. */
const isPremature = (code: Code): boolean => code === codes.failedPrecondition || code === codes.unknown;

/** A client of a process that writes the size of its terminal when it gets a line. */
interface Seat {
  readonly stdio: AttachedStdio;
  readonly stdin: PassThrough;
  readonly said: { readonly stdout: string };
}

/** Sets the size and waits until the process has seen it; the connection stays. */
const sizeSeen = async (task: Task, { stdio, stdin, said }: Seat, [columns, rows]: readonly [number, number]) => {
  await task.resize(columns, rows);
  const leave = new AbortController();
  const carried = stdio.carry(task, {}, leave.signal);
  stdin.write('\n');
  await eventually(() => said.stdout.includes(`${rows} ${columns}`), { what: 'the size' });
  return { leave, carried };
};

/** Local streams, and what was written to them so far. */
const localStreams = () => {
  const said = { stdout: '', stderr: '' };
  const collect = (name: 'stdout' | 'stderr'): PassThrough =>
    new PassThrough().setEncoding('utf8').on('data', (chunk: string) => (said[name] += chunk));
  return { streams: { stdout: collect('stdout'), stderr: collect('stderr') }, said };
};

compare(
  'Containers: create, get, list by filters, label and delete, and the codes of what is refused',
  (side) =>
    using(side, async (client) => {
      const labels = new Map([['tier', 'back']]);
      const container = await create(side, client, 'a', ['true'], { labels });
      await create(side, client, 'b', ['true']);
      const listed = async (...filters: string[]): Promise<string[]> => {
        const ids: string[] = [];
        for await (const { id } of client.containers.list(filters)) ids.push(id);
        return ids.sort((x, y) => x.localeCompare(y));
      };
      const labelled = await container.label(
        new Map([
          ['tier', ''],
          ['zone', 'north'],
        ]),
      );
      const info = await container.info();
      const seen = {
        all: await listed(),
        filtered: [await listed('id==b'), await listed('labels.zone==north'), await listed('id==a', 'id~=^b')],
        labels: [...labelled.labels],
        info: [info.id, info.runtime, info.spec?.process?.args, info.createdAtNanos > 0n],
        again: await refusal(create(side, client, 'a', ['true'])),
        badId: await refusal(client.containers.create({ id: 'a/b', spec: { ociVersion: '1.0.2' } })),
        missing: [
          await refusal(client.containers.get('nobody')),
          await refusal(client.containers.of('nobody').delete()),
        ],
      };
      await container.delete();
      return { ...seen, left: await listed() };
    }),
  (seen) =>
    assert.deepEqual(seen, {
      all: ['a', 'b'],
      filtered: [['b'], ['a'], ['a', 'b']],
      labels: [['zone', 'north']],
      info: ['a', 'io.containerd.runc.v2', ['true'], true],
      again: codes.alreadyExists,
      badId: codes.invalidArgument,
      missing: [codes.notFound, codes.notFound],
      left: ['b'],
    }),
);

compare(
  'Task: created, started, waited for and deleted, with its output whole and its input read to the end',
  (side) =>
    using(side, async (client) => {
      const script = 'cat; echo err >&2; exit 7';
      const container = await create(side, client, 'a', ['sh', '-c', script]);
      const stdin = new PassThrough();
      const { streams, said } = localStreams();
      const task = container.task;
      const states: string[] = [];
      const exits: number[] = [];
      {
        await using stdio = await AttachedStdio.open({ id: 'a', terminal: false }, { ...streams, stdin });
        await container.createTask(stdio.paths);
        states.push((await task.status()).state);
        const pid = await task.start();
        states.push((await task.status()).state);
        assert.equal((await task.status()).pid, pid);
        stdin.end('in\n');
        exits.push((await stdio.carry(task)).status);
        const { state, exit } = await task.status();
        states.push(state);
        exits.push(exit?.status ?? -1, (await task.wait()).status, (await task.delete()).status);
      }
      const gone = [await refusal(task.status()), await refusal(task.kill(SIGKILL)), await refusal(task.delete())];
      return { states, exits, gone, ...said };
    }),
  (seen) =>
    assert.deepEqual(seen, {
      states: ['created', 'running', 'stopped'],
      exits: [7, 7, 7, 7],
      gone: [codes.notFound, codes.notFound, codes.notFound],
      stdout: 'in\n',
      stderr: 'err\n',
    }),
);

compare(
  'Task: a signal, a second task and a delete in the middle, and what each of them gives',
  (side) =>
    using(side, async (client) => {
      const task = await start(side, client, 'a');
      const container = client.containers.of('a');
      const refused = [
        await refusal(container.createTask(nullStdio)),
        isPremature(await refusal(task.delete())),
        await refusal(task.start()),
        await refusal(create(side, client, 'b', ['nosuchprogram']).then((other) => other.createTask(nullStdio))),
      ];
      const listed = (await client.tasks.list()).map(({ id, state }) => [id, state]);
      await task.kill(SIGKILL);
      const { status, atNanos } = await task.wait();
      return { refused, listed, status, isTimed: atNanos > 0n, afterwards: await refusal(task.kill(SIGTERM)) };
    }),
  (seen) =>
    assert.deepEqual(seen, {
      refused: [codes.alreadyExists, true, codes.unknown, codes.unknown],
      listed: [['a', 'running']],
      status: 137,
      isTimed: true,
      afterwards: codes.notFound,
    }),
);

compare(
  'Process: an exec has output, status, signals and an exit of its own, and is among the processes',
  (side) =>
    using(side, async (client) => {
      const task = await start(side, client, 'a');
      const container = client.containers.of('a');
      const { streams, said } = localStreams();
      const statuses: number[] = [];
      {
        await using stdio = await AttachedStdio.open({ id: 'e', terminal: false }, streams);
        const process = await task.exec('e', await processSpec(container, 'sh', '-c', 'echo out; exit 6'), stdio.paths);
        await process.start();
        statuses.push((await stdio.carry(process)).status, (await process.delete()).status);
      }
      const long = await task.exec('long', await processSpec(container, 'sleep', '1000'), nullStdio);
      const created = (await long.status()).state;
      const pid = await long.start();
      const processes = await task.processes();
      const execs = processes.filter(({ execId }) => execId !== undefined);
      assert.deepEqual(execs, [{ pid, execId: 'long' }]);
      const refused = [
        await refusal(task.exec('long', await processSpec(container, 'true'), nullStdio)),
        isPremature(await refusal(long.delete())),
        await refusal(task.process('nobody').status()),
      ];
      await long.kill(SIGTERM);
      statuses.push((await long.wait()).status, (await long.delete()).status);
      const count = (await task.pids()).length;
      await task.kill(SIGKILL);
      await task.wait();
      return { statuses, created, processes: processes.length, count, refused, ...said };
    }),
  (seen) =>
    assert.deepEqual(seen, {
      statuses: [6, 6, 143, 143],
      created: 'created',
      processes: 2,
      count: 1,
      refused: [codes.alreadyExists, true, codes.notFound],
      stdout: 'out\n',
      stderr: '',
    }),
);

compare(
  'Task: pause, resume, usage and update',
  (side) =>
    using(side, async (client) => {
      const task = await start(side, client, 'a');
      const states: string[] = [];
      await task.pause();
      states.push((await task.status()).state);
      await task.resume();
      states.push((await task.status()).state);
      await task.update({ memory: { limit: 64 << 20 } });
      const [usage, ...others] = await client.tasks.usage(['a']);
      const metric = await task.metrics();
      await task.kill(SIGKILL);
      await task.wait();
      return {
        states,
        others: others.length,
        memory: [usage?.memoryLimitBytes, (usage?.memoryBytes ?? 0n) > 0n],
        pids: usage?.pids,
        isTimed: (usage?.atNanos ?? 0n) > 0n && (usage?.cpuNanos ?? 0n) > 0n,
        type: metric?.data?.typeUrl,
      };
    }),
  ({ type, ...seen }) => {
    assert.match(type ?? '', /^io\.containerd\.cgroups\.v[12]\.Metrics$/);
    assert.deepEqual(seen, {
      states: ['paused', 'running'],
      others: 0,
      memory: [64n << 20n, true],
      pids: 1n,
      isTimed: true,
    });
  },
);

compare(
  'Task: a terminal has the size that it was given, and a client may go and another come',
  (side) =>
    using(side, async (client) => {
      const script = 'while read line; do stty size; done; exit 3';
      const container = await create(side, client, 'a', ['sh', '-c', script], { terminal: true });
      const task = container.task;
      const directory = side.path('fifos');
      {
        const { streams, said } = localStreams();
        const stdin = new PassThrough();
        await using stdio = await AttachedStdio.open({ id: 'a', terminal: true, directory }, { ...streams, stdin });
        await container.createTask(stdio.paths);
        await task.start();
        const { leave, carried } = await sizeSeen(task, { stdio, stdin, said }, [91, 27]);
        leave.abort();
        assert.equal(await refusal(carried), codes.canceled);
        stdio.keep();
      }
      const { streams, said } = localStreams();
      const stdin = new PassThrough();
      await using stdio = AttachedStdio.reopen((await task.status()).stdio, { ...streams, stdin });
      const { carried } = await sizeSeen(task, { stdio, stdin, said }, [66, 33]);
      stdin.write('\x04');
      const { status } = await carried;
      return { status };
    }),
  (seen) => assert.deepEqual(seen, { status: 3 }),
);

compare(
  'Namespaces: created, labelled, listed and deleted, and each has containers of its own',
  (side) =>
    using(side, async (client) => {
      const name = `${client.namespace}-x`;
      await client.namespaces.create(name, new Map([['a', '1']]));
      const labelled = await client.namespaces.label(
        name,
        new Map([
          ['a', ''],
          ['b', '2'],
        ]),
      );
      const other = client.inNamespace(name);
      const container = await create(side, other, 'a', ['true']);
      const seen = {
        labels: [...labelled.labels],
        got: [...(await client.namespaces.get(name)).labels],
        isListed: (await client.namespaces.list()).some((one) => one.name === name),
        again: await refusal(client.namespaces.create(name)),
        elsewhere: await refusal(client.containers.get('a')),
        inUse: await refusal(client.namespaces.delete(name)),
      };
      await container.delete();
      await client.namespaces.delete(name);
      return { ...seen, left: (await client.namespaces.list()).filter((one) => one.name === name) };
    }),
  (seen) =>
    assert.deepEqual(seen, {
      labels: [['b', '2']],
      got: [['b', '2']],
      isListed: true,
      again: codes.alreadyExists,
      elsewhere: codes.notFound,
      inUse: codes.failedPrecondition,
      left: [],
    }),
);

compare(
  'Events: a life is told in order, with its payloads, to a subscriber with a filter',
  (side) =>
    using(side, async (client) => {
      const leave = new AbortController();
      const events: Event[] = [];
      const filters = [
        `namespace==${client.namespace},topic~=|^/tasks/|`,
        `namespace==${client.namespace},topic=="/x/y"`,
      ];
      const subscribed = (async () => {
        for await (const event of client.events.subscribe({ filters }, leave.signal)) events.push(event);
      })();
      subscribed.catch(() => undefined); // it ends by our abort
      // Nothing says that a subscription is there, apart from an event that it gets.
      const probe = { typeUrl: 'containerd.events.NamespaceCreate', value: Buffer.alloc(0) };
      await eventually(async () => {
        await client.events.publish('/x/y', probe);
        return events.length > 0;
      });
      const task = await start(side, client, 'a', 'sh', '-c', 'exit 7');
      await task.wait();
      await task.delete();
      await eventually(() => events.some(({ topic }) => topic === '/tasks/delete'));
      leave.abort();
      assert.equal(await refusal(subscribed), codes.canceled);
      const tasks = events.filter(({ topic }) => topic.startsWith('/tasks/'));
      return {
        topics: tasks.map(({ topic, namespace }) => [topic, namespace]),
        statuses: tasks.map(({ payload }) =>
          payload.type === 'containerd.events.TaskExit' ? [payload.value.id, payload.value.exitStatus] : payload.type,
        ),
        others: [...new Set(events.filter((event) => !tasks.includes(event)).map(({ topic }) => topic))],
      };
    }),
  ({ topics, ...seen }) => {
    assert.deepEqual(
      topics.map(([topic]) => topic),
      ['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete'],
    );
    assert.deepEqual(seen, {
      statuses: [
        'containerd.events.TaskCreate',
        'containerd.events.TaskStart',
        ['a', 7],
        'containerd.events.TaskDelete',
      ],
      others: ['/x/y'],
    });
  },
);

compare(
  'a wait and a subscription survive a kill -9 and a start of the daemon',
  (side) =>
    using(side, async (client) => {
      const task = await start(side, client, 'a');
      const leave = new AbortController();
      const broken = Promise.withResolvers<void>();
      const exited = (async () => {
        const filters = [`namespace==${client.namespace},topic=="/tasks/exit"`];
        const options = { filters, onBroken: () => broken.resolve() };
        for await (const { topic } of client.events.subscribe(options, leave.signal)) return topic;
        return undefined;
      })();
      const exit = task.wait();
      await client.server.version(); // both calls are on their way before the answer to this one
      await side.daemon.restart();
      await broken.promise;
      await eventually(() => client.server.isServing());
      const { state } = await task.status();
      // The subscription is opened again within its pause; a containerd tells nothing of what was before that.
      const signals = setInterval(() => void task.kill(SIGKILL).catch(() => undefined), 1_000);
      try {
        return { state, status: (await exit).status, topic: await exited };
      } finally {
        clearInterval(signals);
        leave.abort();
      }
    }),
  (seen) => assert.deepEqual(seen, { state: 'running', status: 137, topic: '/tasks/exit' }),
);

compare(
  'Server: it says who it is, what it is made of, and whether it serves',
  (side) =>
    using(side, async (client) => {
      const { version } = await client.server.version();
      const { uuid } = await client.server.identity();
      const runtimes = await client.server.plugins(['type==io.containerd.runtime.v2']);
      assert.ok(version.length > 0);
      assert.match(uuid, /^[0-9a-f-]{36}$/);
      return { serving: await client.server.isServing(), runtimes: runtimes.map(({ id, error }) => [id, error]) };
    }),
  (seen) => {
    assert.equal(seen.serving, true);
    assert.ok(seen.runtimes.some(([id, error]) => id === 'task' && error === undefined));
  },
);
