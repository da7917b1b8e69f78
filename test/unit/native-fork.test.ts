import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const program = new URL('./native-fork-child.ts', import.meta.url).pathname;
const flags = ['--single-threaded', '--v8-pool-size=0', '--disable-sigusr1', '--no-warnings', '--expose-gc'];

/** What the processes of a task report, the child's first. */
const run = (task: string): Record<string, unknown>[] => {
  const { stdout, stderr, status } = spawnSync(process.execPath, [...flags, program, task], {
    encoding: 'utf8',
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  assert.equal(status, 0, stderr);
  const reports = stdout
    .trim()
    .split('\n')
    .map((line): Record<string, unknown> => JSON.parse(line));
  return reports.sort((one, other) => Number(other['isChild'] === true) - Number(one['isChild'] === true));
};

test('a forked process is one of its own, in which everything works that worked before', () => {
  const [child, parent, end] = run('works');
  const works = { read: 1, said: 'said\n', status: 3, served: 'served', hash: 64 };
  assert.deepEqual({ ...child, ...works }, child);
  assert.deepEqual({ ...parent, ...works }, parent);
  assert.notEqual(child?.['pid'], parent?.['pid']);
  assert.equal(child?.['pid'], child?.['real']);
  assert.equal(child?.['session'], child?.['real']);
  assert.notEqual(parent?.['session'], child?.['real']);
  assert.deepEqual(end, { ended: { code: 7 } });
});

test("a forked process's pollers are its own", () => {
  assert.deepEqual(run('pollers'), [
    { isChild: true, heard: [] },
    { isChild: false, heard: ['later'] },
  ]);
});

test('many forks one after the other all live and end', () => {
  const ends = Array.from({ length: 30 }, (_, index) => ({ code: index + 1 }));
  assert.deepEqual(run('many'), [{ ends }]);
});

test('an error that nobody catches ends a forked process as any other', () => {
  assert.deepEqual(run('throws'), [{ ended: { code: 1 } }]);
});
