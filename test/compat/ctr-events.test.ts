import assert from 'node:assert/strict';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { compareSides, type Side } from './sides.ts';

// `ctr events` on containerd and on ours: the same events, in the same order, with the same fields.

const bed = testBed();
const compare = compareSides(bed);

/** What `ctr events` prints while `act` runs, one `topic {payload}` each; ends when `isLast` says so. */
const watch = async (
  side: Side,
  filters: readonly string[],
  act: () => Promise<unknown>,
  isLast: (seen: string) => boolean,
): Promise<string[]> => {
  const session = side.ctr.attach(['events', ...filters]);
  const marker = side.ctr.in(`${side.daemon.namespace}-marker`);
  // A subscriber says nothing when it is there: it is when it shows us an event of our making.
  let tries = 0;
  if (filters.length === 0) {
    await eventually(async () => {
      await marker.ok('namespaces', 'create', `${side.daemon.namespace}-marker-${(tries += 1)}`);
      return session.stdout.includes('-marker-');
    });
  } else {
    await eventually(async () => {
      await side.ctr.ok('containers', 'create', '--rootfs', side.rootfs, `marker-${(tries += 1)}`, '/bin/true');
      return session.stdout.includes('marker-');
    });
  }
  await act();
  await eventually(() => isLast(session.stdout)).catch((cause: unknown) => {
    throw new Error(`the last event is not in ${session.stdout}`, { cause });
  });
  session.signal('SIGKILL');
  const lines = session.stdout.split('\n').filter((line) => line !== '' && !line.includes('marker'));
  return lines.map((line) => line.replace(/^.*? UTC /, ''));
};

const includes =
  (...events: readonly string[]) =>
  (seen: string): boolean =>
    events.every((event) => seen.includes(event));

const RUNS = 30;
/** A task's events come from the shim, a container's from the daemon: the lines of either kind have an order. */
const byKind = (lines: readonly string[]): string[][] =>
  ['/tasks/', '/containers/'].map((kind) => lines.filter((line) => line.split(' ')[1]?.startsWith(kind)));

const GROUP = ['--annotation', 'io.containerd.runc.v2.group=marker'];
/** A second container of the shim: containerd's may go before its last event, a delete, is out. */
const keepShim = (side: Side): Promise<void> => side.start('marker', { flags: GROUP });

/** What is told of a container that is run and removed. */
const LIFE = [
  ['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete'],
  ['/containers/create', '/containers/delete'],
];

/** The topics of a container's life, without the payloads. */
const topics = (lines: readonly string[]): string[] => lines.map((line) => line.split(' ')[1] ?? '');

compare(
  'create, start, exec, exit, delete: order and payloads',
  async (side) => {
    await keepShim(side);
    const act = async (): Promise<void> => {
      await side.start('a', { flags: ['--label', 'x=y', ...GROUP] });
      await side.pid('a');
      await side.ctr.run(['tasks', 'exec', '--exec-id', 'e', 'a', '/bin/sh', '-c', 'exit 3']);
      await side.ctr.ok('tasks', 'pause', 'a');
      await side.ctr.ok('tasks', 'resume', 'a');
      await side.ctr.ok('tasks', 'rm', '-f', 'a');
      await side.ctr.ok('containers', 'label', 'a', 'x=z');
      await side.ctr.ok('containers', 'rm', 'a');
    };
    const lines = await watch(side, [], act, includes('/tasks/delete', '/containers/delete'));
    return byKind(lines.map((line) => comparable(side, line)));
  },
  (lines) =>
    assert.deepEqual(lines.map(topics), [
      [
        '/tasks/create',
        '/tasks/start',
        '/tasks/exec-added',
        '/tasks/exec-started',
        '/tasks/exit',
        '/tasks/paused',
        '/tasks/resumed',
        '/tasks/exit',
        '/tasks/delete',
      ],
      ['/containers/create', '/containers/update', '/containers/delete'],
    ]),
);

compare(
  'filters by topic and namespace; a subscriber sees nothing from before it came',
  async (side) => {
    await side.run(['--rm', '--null-io'], 'before', ['/bin/true']);
    const filters = [`namespace==${side.daemon.namespace},topic~=^/containers/`];
    return topics(
      await watch(
        side,
        filters,
        () => side.run(['--rm', '--null-io'], 'a', ['/bin/true']),
        includes('containers/delete'),
      ),
    );
  },
  (seen) => assert.deepEqual(seen, ['/containers/create', '/containers/delete']),
);

compare(
  `${RUNS} attached runs, ten at once, end by themselves with their own code, and every event is told once`,
  async (side) => {
    const ids = Array.from({ length: RUNS }, (_, index) => `run-${String(index).padStart(2, '0')}`);
    const statuses: number[] = [];
    const lives = async (): Promise<void> => {
      for (let first = 0; first < ids.length; first += 10) {
        const some = ids.slice(first, first + 10).map((id, index) => {
          const script = `echo ${id}; exit ${first + index}`;
          return side.run(['--rm'], id, ['/bin/sh', '-c', script], { timeoutMs: 30_000 });
        });
        statuses.push(...(await Promise.all(some)).map(({ status }) => status));
      }
      await side.run(['--rm', '--null-io'], 'last', ['/bin/true']);
    };
    // Our promise: each of these shims goes with its container, and containerd's may take its last event along.
    const isOurs = side.daemon.kind === 'holdfast';
    const allDeleted = (seen: string): boolean => !isOurs || seen.split('/tasks/delete').length > ids.length + 1;
    const isOver = includes('/containers/delete {"id":"last"');
    const lines = await watch(side, [], lives, (seen) => isOver(seen) && allDeleted(seen));
    if (isOurs) {
      const told = ids.map((id) => byKind(lines.filter((line) => line.includes(`"${id}"`))).map(topics));
      assert.deepEqual(
        told,
        ids.map(() => LIFE),
      );
    }
    return statuses;
  },
  (statuses) => assert.deepEqual(statuses, [...Array(RUNS).keys()]),
);

compare(
  'an OOM kill is told before the exit that it caused',
  async (side) => {
    const script = 'x=a; while :; do x=$x$x; done';
    const flags = ['--rm', '--null-io', '--memory-limit', '16777216', ...GROUP];
    await keepShim(side);
    const act = (): Promise<unknown> => side.run(flags, 'a', ['/bin/sh', '-c', script]);
    const lines = await watch(side, [], act, includes('/tasks/delete', '/containers/delete'));
    const seen = topics(lines);
    // We promise the order; containerd's shim publishes an OOM and an exit each for itself, and is late now and then.
    if (side.daemon.kind === 'holdfast') {
      assert.ok(
        seen.indexOf('/tasks/oom') > 0 && seen.indexOf('/tasks/oom') < seen.indexOf('/tasks/exit'),
        seen.join(),
      );
    }
    return byKind(lines.filter((line) => !line.includes('/tasks/oom'))).map(topics);
  },
  (seen) => assert.deepEqual(seen, LIFE),
);

compare(
  'an invalid filter is an error',
  (side) => side.ctr.run(['events', 'topic~~x']),
  ({ status, stderr }) => {
    assert.equal(status, 1);
    assert.match(stderr, /filters:/);
  },
);

/** `NAMESPACE TOPIC {payload}` without process ids, which differ, and with times by name. */
const comparable = (side: Side, line: string): string =>
  String(side.plain(line))
    .replace(/"pid":\d+/, '"pid":"<pid>"')
    .replace(/"exited_at":("[^"]*"|\{[^}]*\})/, '"exited_at":"<time>"');
