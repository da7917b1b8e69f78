import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { Side } from '../compat/sides.ts';
import { startHoldfast } from '../harness/daemon.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';

// What a runtime and a container inherit of us, and that use leaves nothing open (CVE-2024-21626, CVE-2022-23471).

const bed = testBed();
let side: Side;
before(async () => {
  side = new Side(bed, await startHoldfast(bed));
});

test('no descriptor but 0 to 2 reaches the runtime, and no signal is ignored or blocked', async () => {
  const [program, log] = [side.path('runc-that-tells'), side.path('told')];
  // The shell itself holds its script open, and it forgets that descriptor when it becomes runc.
  const lines = [
    '#!/bin/sh',
    `{ for fd in /proc/$$/fd/*; do readlink $fd | grep -q ${program} || echo "fd \${fd##*/}"; done`,
    'grep -E "^Sig(Blk|Ign)" /proc/$$/status; } >> ' + log,
    'exec runc "$@"',
  ];
  writeFileSync(program, `${lines.join('\n')}\n`, { mode: 0o755 });
  const run = await side.run(['--rm', '--runc-binary', program], 'a', ['/bin/sh', '-c', 'exit 6']);
  assert.equal(run.status, 6);
  const told = new Set(readFileSync(log, 'utf8').trim().split('\n'));
  assert.deepEqual([...told].toSorted(), [
    'SigBlk:\t0000000000000000',
    'SigIgn:\t0000000000000000',
    'fd 0',
    'fd 1',
    'fd 2',
  ]);
});

/** Descriptors of the daemon and of the shim of a container. */
const descriptors = async (id: string): Promise<number[]> => {
  const shim = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${await side.pid(id)}/status`, 'utf8'))?.[1]);
  return [side.daemon.pid, shim].map((pid) => readdirSync(`/proc/${pid}/fd`).length);
};

/** Uses a container many times, and expects that what it had open before the last ten times is what it has after. */
const leavesNothingOpen = async (use: (round: number) => Promise<unknown>): Promise<void> => {
  await side.start('a');
  for (let round = 0; round < 5; round += 1) await use(round); // what is opened once and kept is open now
  const before = await descriptors('a');
  for (let round = 5; round < 25; round += 1) await use(round);
  await eventually(
    async () => {
      const after = await descriptors('a');
      return after.every((count, index) => count <= (before[index] ?? 0));
    },
    { ms: 5_000, what: `no more than ${before} descriptors` },
  ).finally(() => side.ctr.removeAll());
};

const exec = (round: number, ...words: readonly string[]) =>
  side.ctr.run(['tasks', 'exec', '--exec-id', `e${round}`, 'a', ...words]);

test('execs leave no descriptor open', () => leavesNothingOpen((round) => exec(round, '/bin/true')));

test('execs that fail leave no descriptor open', () => leavesNothingOpen((round) => exec(round, '/nothing')));

test('execs with a terminal, resized and ended, leave no descriptor open', () =>
  leavesNothingOpen(async (round) => {
    const words = ['tasks', 'exec', '--exec-id', `e${round}`, '-t', 'a', '/bin/sh', '-c', 'echo up; read x'];
    const terminal = side.ctr.terminal(words);
    await terminal.shows('up');
    terminal.resize(50 + round, 20);
    terminal.write('\r');
    await terminal.end();
  }));

test('containers that come and go leave no descriptor open in the daemon', async () => {
  const run = (round: number) => side.run(['--rm'], `r${round}`, ['/bin/true']);
  for (let round = 0; round < 5; round += 1) await run(round);
  const before = readdirSync(`/proc/${side.daemon.pid}/fd`).length;
  for (let round = 5; round < 25; round += 1) await run(round);
  await eventually(() => readdirSync(`/proc/${side.daemon.pid}/fd`).length <= before, { ms: 5_000 });
});
