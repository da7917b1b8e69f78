import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { Side } from '../compat/sides.ts';
import { startHoldfast } from '../harness/daemon.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';

// What a runtime and a container inherit of us, and that use leaves nothing open (CVE-2024-21626, CVE-2022-23471).

const bed = testBed();
let side: Side;
before(async () => {
  // A zygote is made when it is quiet, and its sockets would come and go in what is counted.
  side = new Side(bed, await startHoldfast(bed, { config: '[tasks]\nzygote = false\n' }));
});

test('no descriptor but 0 to 2 reaches the runtime, and no signal is ignored or blocked', async () => {
  const [program, log] = [side.path('runc-that-tells'), side.path('told')];
  // The shell itself holds its script open, and it forgets that descriptor when it becomes runc.
  const lines = [
    '#!/bin/sh',
    // By a child that redirects for itself: a pipeline's pipes, or a redirection of this shell's, would be seen as well.
    `sh -c 'ls -l /proc/$PPID/fd >> ${log}'`,
    // Not in a child: dash blocks signals while it makes one.
    'while read -r key value; do case $key in SigBlk:|SigIgn:) printf "%s\\t%s\\n" $key $value; esac; done ' +
      `< /proc/$$/status >> ${log}`,
    'exec runc "$@"',
  ];
  writeFileSync(program, `${lines.join('\n')}\n`, { mode: 0o755 });
  const run = await side.run(['--rm', '--runc-binary', program], 'a', ['/bin/sh', '-c', 'exit 6']);
  assert.equal(run.status, 6);
  const seen = readFileSync(log, 'utf8').split('\n');
  const told = new Set([
    ...seen.filter((line) => line.startsWith('Sig')),
    // The shell's own: its script.
    ...seen.flatMap((line) => (line.endsWith(` -> ${program}`) ? [] : (/ (\d+) -> /.exec(line)?.[1] ?? []))),
  ]);
  assert.deepEqual([...told].toSorted(), ['0', '1', '2', 'SigBlk:\t0000000000000000', 'SigIgn:\t0000000000000000']);
});

/** What the daemon and the shim of a container have open. */
const openFiles = async (id: string): Promise<string[][]> => {
  const shim = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${await side.pid(id)}/status`, 'utf8'))?.[1]);
  return [side.daemon.pid, shim].map(filesOf);
};

/**
 * A connection to the metadata that is closed leaves its descriptor to the next one while the main connection has
 * locks: one at most, since the first checkpoint. Source: SQLite, "unixClose".
 */
const spare = (files: readonly string[]): number =>
  files.filter((file) => file.endsWith('/metadata.db')).length === 2 ? 1 : 0;

const filesOf = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [`${fd} ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`];
    } catch {
      return []; // closed since
    }
  });

/** Uses a container many times, and expects that what it had open before the last times is what it has after. */
const leavesNothingOpen = async (use: (round: number) => Promise<unknown>): Promise<void> => {
  await side.start('a');
  for (let round = 0; round < 5; round += 1) await use(round); // what is opened once and kept is open now
  const before = await openFiles('a');
  for (let round = 5; round < 25; round += 1) await use(round);
  let after: string[][] = [];
  try {
    await eventually(
      async () => {
        after = await openFiles('a');
        return after.every((files, index) => files.length <= (before[index]?.length ?? 0) + spare(files));
      },
      { ms: 5_000, what: 'no more descriptors than before' },
    ).catch((error: unknown) => {
      throw new Error(`before: ${before.join('\n')}\nafter: ${after.join('\n')}`, { cause: error });
    });
  } finally {
    await side.ctr.removeAll();
  }
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
