import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { compareSides } from './sides.ts';

// What a container writes and reads, on containerd and on ours.

const bed = testBed();
const compare = compareSides(bed);
const ID = 'a';
const sh = (script: string): string[] => ['/bin/sh', '-c', script];

/** 4 MiB on each stream, of lines that tell their place. */
const MUCH = `i=0; while [ $i -lt 65536 ]; do
  echo "out $i 01234567890123456789012345678901234567890123456789"
  [ $((i % 16)) -ne 0 ] || echo "err $i" >&2
  i=$((i+1))
done`;

const counts = ({ stdout, stderr }: { readonly stdout: string; readonly stderr: string }): number[] =>
  [stdout, stderr].map(
    (text) => text.split('\n').filter((line, index) => line.split(' ')[1] === String(step(line, index))).length,
  );

/** The number that the line at this place is to have. */
const step = (line: string, index: number): number => (line.startsWith('err') ? index * 16 : index);

compare(
  'an attached run with much output gives all of it, in order, on the right stream',
  async (side) => {
    const result = await side.run(['--rm'], ID, sh(MUCH));
    return { status: result.status, lines: counts(result) };
  },
  (seen) => assert.deepEqual(seen, { status: 0, lines: [65_536, 4_096] }),
);

compare(
  'a reader that is slow at first gets all of it',
  async (side) => {
    const session = side.ctr.attach(side.words(['--rm'], ID, sh(MUCH)));
    session.pause();
    await eventually(async () => (await side.ctr.ok('tasks', 'ls', '-q')) !== '');
    session.resume();
    const result = await session.end(60_000);
    return { status: result.status, lines: counts(result) };
  },
  (seen) => assert.deepEqual(seen, { status: 0, lines: [65_536, 4_096] }),
);

compare(
  'a program may open /dev/stdout and /dev/stderr, as root and as uid 1000',
  async (side) => {
    await side.start(ID);
    const script = 'echo out > /dev/stdout; echo err > /dev/stderr; echo more >> /proc/self/fd/1';
    const exec = (...flags: readonly string[]) =>
      side.ctr.run(['tasks', 'exec', '--exec-id', 'e', ...flags, ID, ...sh(script)]);
    return [await side.run(['--rm'], 'b', sh(script)), await exec(), await exec('--user', '1000')];
  },
  (results) => {
    for (const { stdout, stderr } of results) assert.deepEqual([stdout, stderr], ['out\nmore\n', 'err\n']);
  },
);

compare(
  'a container in the host’s pid namespace that leaves a child behind ends when its init ends',
  async (side) => {
    await side.create(ID, sh('sleep 1000 & echo $!; exit 11'), ({ linux }) => {
      linux.namespaces = linux.namespaces.filter(({ type }) => type !== 'pid');
    });
    const run = await side.ctr.run(['tasks', 'start', ID], { timeoutMs: 30_000 });
    const child = Number(side.hide(run.stdout.trim(), 'child'));
    return { run, left: existsSync(`/proc/${child}`) };
  },
  ({ run, left }) => assert.deepEqual([run.status, left], [11, false]),
);

compare(
  'a container has three descriptors, and none of the daemon’s or the shim’s',
  async (side) => {
    await side.start(ID);
    const pid = await side.pid(ID);
    // Until then it is the runtime's program that has not become the container's yet.
    await eventually(() => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n', { what: 'sleep to run' });
    return readdirSync(`/proc/${pid}/fd`);
  },
  (fds) => assert.deepEqual(fds, ['0', '1', '2']),
);
