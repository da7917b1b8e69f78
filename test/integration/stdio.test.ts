import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { Side } from '../compat/sides.ts';
import { startHoldfast } from '../harness/daemon.ts';
import { must } from '../harness/exec.ts';
import { Session } from '../harness/session.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';

// Output that nobody reads: containerd's shim drops what it holds at the exit, ours keeps it for a reader.

const bed = testBed();
const ID = 'a';
let side: Side;

before(async () => {
  side = new Side(bed, await startHoldfast(bed));
});

const sh = (script: string): string[] => ['/bin/sh', '-c', script];
/** Reads a FIFO to its end, as a client that comes late. */
const read = (path: string): Promise<string> => must('cat', [path], { timeoutMs: 20_000 });

const remove = async (): Promise<void> => {
  await side.tasks.delete({ containerId: ID });
  await side.ctr.ok('containers', 'rm', ID);
};

test('output that nobody reads holds the container up, and is complete when somebody does', async () => {
  await side.create(ID, sh('echo first; seq 1 40000; echo second >&2; exit 6'));
  const { stdout, stderr } = await side.startUnwatched(ID);
  await isHeldUp(await side.pid(ID));
  const texts = Promise.all([read(stdout), read(stderr)]);
  const { exitStatus } = await side.tasks.wait({ containerId: ID });
  const [out, err] = await texts;
  assert.deepEqual([out?.split('\n').length, err, exitStatus], [40_002, 'second\n', 6]);
  await remove();
});

test('output that was left unread at the exit waits for its reader, who sees its end before Delete', async () => {
  await side.create(ID, sh('echo last words; exit 6'));
  const { stdout, stderr } = await side.startUnwatched(ID);
  const { exitStatus } = await side.tasks.wait({ containerId: ID });
  assert.deepEqual([exitStatus, await read(stdout), await read(stderr)], [6, 'last words\n', '']);
  await remove();
});

test('a client that goes away and comes back after the exit reads on where it left', async () => {
  await side.create(ID, sh('echo one; while [ ! -e /tmp/go ]; do sleep 0.02; done; echo two'));
  const { stdout } = await side.startUnwatched(ID);
  assert.equal(await must('head', ['-n', '1', stdout]), 'one\n');
  writeFileSync(`${side.rootfs}/tmp/go`, '');
  await side.tasks.wait({ containerId: ID });
  assert.equal(await read(stdout), 'two\n');
  await remove();
});

test('unread output outlives a crash of the daemon, and an exit while it is down', async () => {
  const { daemon } = side;
  await side.create(ID, sh('echo before; while [ ! -e /tmp/down ]; do sleep 0.02; done; echo while down; exit 9'));
  const { stdout } = await side.startUnwatched(ID);
  const pid = await side.pid(ID);
  await daemon.kill9();
  writeFileSync(`${side.rootfs}/tmp/down`, '');
  await eventually(() => !isRunning(pid), { what: 'the container to end' });
  await daemon.start();
  const { exitStatus } = await side.tasks.wait({ containerId: ID });
  assert.deepEqual([exitStatus, await read(stdout)], [9, 'before\nwhile down\n']);
  await remove();
});

test('Delete ends the stream of a reader that is there', async () => {
  await side.create(ID, sh('echo bye'));
  const { stdout } = await side.startUnwatched(ID);
  const reader = new Session(['cat', stdout], { stdin: 'ignore' });
  await reader.says('bye');
  await side.tasks.wait({ containerId: ID });
  await remove();
  assert.equal((await reader.end()).stdout, 'bye\n');
});

/** Linux answers EIO on a terminal's master while output is still on its way in some of a hundred such ends. */
const TERMINALS = 60;

test('what a process wrote to its terminal before it ended is handed on to the last byte, every time', async () => {
  await side.start(ID);
  const spec = {
    typeUrl: 'types.containerd.io/opencontainers/runtime-spec/1/Process',
    value: Buffer.from(
      JSON.stringify({ args: ['/bin/echo', 'last words'], cwd: '/', user: { uid: 0, gid: 0 }, terminal: true }),
    ),
  };
  const seen = new Map<string, number>();
  for (let round = 0; round < TERMINALS; round += 1) {
    const [execId, stdout] = [`e${round}`, side.path(`e${round}-stdout`)];
    await must('mkfifo', [stdout]);
    const reader = read(stdout);
    await side.tasks.exec({ containerId: ID, execId, stdout, terminal: true, spec });
    await side.tasks.start({ containerId: ID, execId });
    await side.tasks.wait({ containerId: ID, execId });
    const text = await reader;
    seen.set(text, (seen.get(text) ?? 0) + 1);
    await side.tasks.deleteProcess({ containerId: ID, execId });
  }
  assert.deepEqual(Object.fromEntries(seen), { 'last words\r\n': TERMINALS });
  await side.ctr.removeAll();
});

/** Resolves when the container of this init has written something and writes no more. */
const isHeldUp = async (pid: number): Promise<void> => {
  let [written, times] = [0, 0];
  await eventually(
    () => {
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
      const now = [String(pid), ...children].reduce((sum, one) => sum + writtenBy(one), 0);
      times = now === written && now > 0 ? times + 1 : 0;
      written = now;
      return times >= 5;
    },
    { what: 'the container to be held up' },
  );
};

const writtenBy = (pid: string): number =>
  pid === '' ? 0 : Number(/^wchar: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);

const isRunning = (pid: number): boolean => {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};
