import assert from 'node:assert/strict';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { compareSides, type Side } from './sides.ts';

// `ctr run -t` and `ctr tasks exec -t` on containerd and on ours, in a terminal that a test types into.

const bed = testBed();
const compare = compareSides(bed);
const ID = 'a';

compare(
  'run -t: the container has a terminal of the size of ours, and its exit code is ctr’s',
  async (side) => {
    const terminal = side.ctr.terminal(side.words(['--rm', '-t'], ID, ['/bin/sh', '-c', `${SIZE}; tty; exit 21`]));
    const status = await terminal.end();
    return { status, screen: lines(terminal.screen) };
  },
  ({ status, screen }) => {
    assert.equal(status, 21);
    assert.match(screen, /^30 100\n\/dev\/(pts\/0|console)\n$/);
  },
);

compare(
  'run -t: what is typed arrives, what it prints is shown, Ctrl-C interrupts and Ctrl-D ends it',
  async (side) => {
    const terminal = side.ctr.terminal(side.words(['--rm', '-t'], ID, ['/bin/sh', '-c', TYPED]));
    await terminal.shows('ready');
    terminal.write('hello\r');
    await terminal.shows('[hello]');
    terminal.write('\u0003');
    await terminal.shows('interrupted');
    terminal.write('\u0004');
    return { status: await terminal.end(), screen: lines(terminal.screen) };
  },
  ({ status }) => assert.equal(status, 5),
);

compare(
  'run -t: a window that changes its size is told to the container',
  async (side) => {
    const script = `trap '${SIZE}' WINCH; echo ready; while :; do sleep 0.05; done`;
    const terminal = side.ctr.terminal(side.words(['--rm', '-t'], ID, ['/bin/sh', '-c', script]));
    await terminal.shows('ready');
    await resized(terminal, 132, 43);
    await resized(terminal, 90, 20);
    await side.ctr.ok('tasks', 'kill', '--signal', 'KILL', ID);
    return terminal.end();
  },
  (status) => assert.equal(status, 137),
);

compare(
  'run -t: a megabyte of output arrives whole',
  async (side) => {
    const terminal = side.ctr.terminal(side.words(['--rm', '-t'], ID, ['/bin/sh', '-c', MEGABYTE]));
    // It ends when it is told to: what a terminal still holds at the end of its process ctr sometimes drops.
    await terminal.shows('all told', 60_000);
    terminal.write('\r');
    const status = await terminal.end();
    return { status, count: terminal.screen.split('\n').filter((line) => line.startsWith('line ')).length };
  },
  (seen) => assert.deepEqual(seen, { status: 0, count: 16_384 }),
);

compare(
  'exec -t: a terminal of its own, and the exit code',
  async (side) => {
    await side.start(ID);
    const exec = [
      'tasks',
      'exec',
      '--exec-id',
      'e',
      '-t',
      ID,
      '/bin/sh',
      '-c',
      `${SIZE}; read x; echo "[$x]"; exit 22`,
    ];
    const terminal = side.ctr.terminal(exec, { columns: 111, rows: 33 });
    await terminal.shows('33 111');
    terminal.write('typed\r');
    return { status: await terminal.end(), screen: lines(terminal.screen) };
  },
  ({ status, screen }) => {
    assert.equal(status, 22);
    assert.match(screen, /\[typed\]/);
  },
);

compare(
  'attach to a container with a terminal: typing and output go on',
  async (side) => {
    const first = side.ctr.terminal(
      side.words(['-t'], ID, ['/bin/sh', '-c', 'echo ready; read x; echo "[$x]"; exit 23']),
    );
    await first.shows('ready');
    first.signal('SIGKILL');
    await first.end();
    const second = side.ctr.terminal(['tasks', 'attach', ID]);
    second.write('again\r');
    // Whether what is typed is echoed once or twice depends on when ctr sets its own terminal to raw.
    return { status: await second.end(), answered: second.screen.includes('[again]') };
  },
  (seen) => assert.deepEqual(seen, { status: 23, answered: true }),
);

/** Whether a line ends in one carriage return or two depends on when ctr sets its own terminal to raw. */
const lines = (screen: string): string => screen.replaceAll(/\r+\n/g, '\n');

/** ctr sets the size after the start, so a program that asks at once may see none yet. */
const SIZE = 'until [ -n "$(stty size 2>/dev/null)" ]; do sleep 0.02; done; stty size';

const MEGABYTE = `stty -opost; echo; i=0
while [ $i -lt 16384 ]; do echo "line $i 0123456789012345678901234567890123456789012345678901"; i=$((i+1)); done
echo all told; read x`;

const TYPED = `trap 'echo interrupted' INT; echo ready; while :; do
  if read x; then echo "[$x]"; else [ $? -gt 128 ] || exit 5; fi
done`;

const resized = async (terminal: ReturnType<Side['ctr']['terminal']>, columns: number, rows: number): Promise<void> => {
  // ctr first looks at the size and only then listens for changes: one that comes in between it never hears of.
  await eventually(
    async () => {
      terminal.resize(columns + 1, rows);
      terminal.resize(columns, rows);
      return terminal.shows(`${rows} ${columns}`, 500).then(
        () => true,
        () => false,
      );
    },
    { ms: 20_000, what: `a window of ${columns} by ${rows}` },
  );
};
