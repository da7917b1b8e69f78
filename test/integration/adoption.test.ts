import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { shimHash, shimPaths } from '../../common/bootstrap.ts';
import { Side } from '../compat/sides.ts';
import { startHoldfast } from '../harness/daemon.ts';
import { testBed } from '../harness/temp.ts';
import type { Terminal } from '../harness/terminal.ts';
import { eventually } from '../harness/wait.ts';

// What the client of a container sees of the death of its shim: nothing. `ctr` is attached all the while.

const bed = testBed();
let side: Side;
before(async () => {
  side = new Side(bed, await startHoldfast(bed));
});

const shimPid = (group: string): number => {
  const { address, namespace, state } = side.daemon;
  const { directory } = shimPaths(state, shimHash({ address, namespace, group }));
  const ledger: { pid: number } = JSON.parse(readFileSync(join(directory, 'ledger.json'), 'utf8'));
  return ledger.pid;
};

/** Its start has been answered for, not only begun. */
const running = (id: string): Promise<boolean> =>
  eventually(async () => new RegExp(`^${id}\\s.*RUNNING`, 'm').test(await side.ctr.ok('tasks', 'ls')), { what: id });

/** Kills the shim and waits for the one in its place. */
const killShim = async (group: string): Promise<void> => {
  const before = shimPid(group);
  process.kill(before, 'SIGKILL');
  await eventually(() => shimPid(group) !== before, { what: 'another shim' });
  await side.tasks.metrics({ filters: [`id==${group}`] }); // a call waits until it serves
};

/** What is typed comes back as an answer and not only as an echo. */
const converse = async (terminal: Terminal, word: string): Promise<void> => {
  terminal.write(`echo ${word}-$((40 + 2))\r`);
  await terminal.shows(`${word}-42`);
};

test('a terminal outlives its shim, again and again, and its size can be set', async () => {
  const terminal = side.ctr.terminal(side.words(['--rm', '-t'], 'a', ['/bin/sh']), { columns: 90, rows: 20 });
  await converse(terminal, 'first');
  for (const word of ['second', 'third']) {
    await killShim('a');
    await converse(terminal, word);
  }
  terminal.resize(70, 33);
  terminal.write('stty size; echo rows\r');
  await terminal.shows(/33 70\r+\nrows/);
  terminal.write('exit 7\r');
  assert.equal(await terminal.end(), 7);
});

test('what a terminal shows while it has no shim is shown afterwards', async () => {
  const wait = 'while [ ! -e /tmp/now ]; do sleep 0.01; done';
  const script = `echo ready; ${wait}; i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; echo the end`;
  const terminal = side.ctr.terminal(side.words(['--rm', '-t'], 'b', ['/bin/sh', '-c', script]));
  await terminal.shows('ready');
  await running('b');
  const before = shimPid('b');
  process.kill(before, 'SIGKILL');
  writeFileSync(`${side.rootfs}/tmp/now`, '');
  await eventually(() => shimPid('b') !== before, { what: 'another shim' });
  assert.equal(await terminal.end(), 0, terminal.screen.slice(-300));
  const lines = [...terminal.screen.matchAll(/^line (\d+)\r+$/gm)].map(([, number]) => Number(number));
  assert.match(terminal.screen, /the end\r+\n$/);
  // What the shim had read and not yet written when it was killed is gone with it: a read of one buffer at most.
  assert.ok(lines.length > 2_000, `${lines.length} lines`);
});

test('the terminal of an exec outlives its shim, and so does that of the container beside it', async () => {
  const container = side.ctr.terminal(side.words(['--rm', '-t'], 'c', ['/bin/sh']));
  await converse(container, 'container');
  const exec = side.ctr.terminal(['tasks', 'exec', '-t', '--exec-id', 'x', 'c', '/bin/sh']);
  await converse(exec, 'exec');
  await killShim('c');
  await converse(exec, 'again');
  await converse(container, 'again');
  exec.write('exit 3\r');
  assert.equal(await exec.end(), 3);
  container.write('exit 4\r');
  assert.equal(await container.end(), 4);
});

test('a restart of the daemon between costs nothing: it asks the shim again', async () => {
  const terminal = side.ctr.terminal(side.words(['-d', '-t'], 'd', ['/bin/sh', '-c', 'read word; exit 9']));
  assert.equal(await terminal.end(), 0);
  await side.daemon.kill9();
  await side.daemon.start();
  await eventually(() => heldBy(side.daemon.pid) > 0, { what: 'the daemon to hold the master' });
  await killShim('d');
  const attached = side.ctr.terminal(['tasks', 'attach', 'd']);
  attached.write('word\r');
  assert.equal(await attached.end(), 9);
  assert.equal(heldBy(side.daemon.pid), 0, 'and nothing of it after the exit');
  await side.ctr.removeAll();
});

test('input through a FIFO does not come to its end when its shim is killed, and does when the client says so', async () => {
  const run = side.ctr.attach(side.words(['--rm'], 'e', ['/bin/cat']));
  run.write('one\n');
  await run.says('one');
  await killShim('e');
  run.write('two\n');
  await run.says('two');
  run.closeStdin();
  const { status, stdout } = await run.end();
  assert.deepEqual([status, stdout], [0, 'one\ntwo\n']);
});

test('an end of the input that was asked for stays, whoever dies in between', async () => {
  const run = side.ctr.attach(
    side.words(['--rm'], 'f', ['/bin/sh', '-c', 'while [ ! -e /tmp/go ]; do sleep 0.02; done; cat > /tmp/out']),
  );
  await running('f');
  run.write('unread\n');
  run.closeStdin();
  await side.tasks.closeIO({ containerId: 'f', stdin: true });
  await side.daemon.kill9();
  await side.daemon.start();
  await killShim('f');
  run.signal('SIGKILL'); // the client's end of the FIFO too
  const { exitStatus } = await goOn('f');
  assert.deepEqual([exitStatus, readFileSync(`${side.rootfs}/tmp/out`, 'utf8')], [0, 'unread\n']);
  await side.ctr.removeAll();
});

/** Lets the container go on, and waits for its end. */
const goOn = async (id: string) => {
  await side.ctr.ok('tasks', 'exec', '--exec-id', 'go', id, '/bin/touch', '/tmp/go');
  return side.tasks.wait({ containerId: id }, { timeoutMs: 20_000 });
};

/** Masters of terminals that a process has open. */
const heldBy = (pid: number): number =>
  readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).endsWith('/ptmx');
    } catch {
      return false; // closed since
    }
  }).length;
