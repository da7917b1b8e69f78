import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isNotFound } from '../../common/errdefs.ts';
import { TasksDefinition } from '../../proto/gen/containerd/services/tasks/v1/tasks.ts';
import { Metrics } from '../../proto/gen/io/containerd/cgroups/v1/cgroups_v1.ts';
import { watchOom } from '../../shim/cgroup/oom.ts';
import { cgroupPaths, joinCgroup } from '../../shim/cgroup/paths.ts';
import { readStats } from '../../shim/cgroup/stats.ts';
import { startContainerd } from '../harness/containerd.ts';
import { must } from '../harness/exec.ts';
import { repository } from '../harness/repository.ts';
import { makeRootfs } from '../harness/rootfs.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';

// The real hierarchies of version 1: cgroups of our own in them, and processes that run out of memory there.

const bed = testBed();
const LIMIT_BYTES = 16 << 20;
/** Longer than a watch goes on looking after the kernel's last word. */
const QUIET_MS = 2_000;
/** Looks for the end of an endless line, and keeps all of it. */
const HOG = 'exec tail /dev/zero';

/** Cgroups and processes of one test, gone after it. */
class Ground {
  static #count = 0;
  readonly path = `/${bed.name}-${(Ground.#count += 1)}`;
  readonly memory = `/sys/fs/cgroup/memory${this.path}`;
  readonly #directories: string[] = [];
  readonly #processes: ChildProcess[] = [];
  readonly #watches = new DisposableStack();

  constructor(t: TestContext) {
    this.make(this.memory);
    t.after(() => this.remove());
  }

  make(directory: string): string {
    mkdirSync(directory);
    this.#directories.unshift(directory);
    return directory;
  }

  limit(directory = this.memory): void {
    writeFileSync(join(directory, 'memory.limit_in_bytes'), String(LIMIT_BYTES));
  }

  /** A process that stays there until the end. */
  async settle(directory = this.memory): Promise<number> {
    const child = spawn('/bin/sh', entering(directory, 'echo; exec sleep 1000'), {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.#processes.push(child);
    await once(child.stdout, 'data');
    return child.pid ?? 0;
  }

  async watch(directory = this.memory) {
    const seen = { reports: 0 };
    const watch = await watchOom(cgroupPaths(await this.settle(directory)), () => (seen.reports += 1));
    assert.ok(watch);
    this.#watches.defer(() => watch.close());
    return { watch, seen };
  }
  async end(): Promise<void> {
    for (const child of this.#processes.splice(0)) {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    for (const directory of this.#directories.splice(0)) rmdirSync(directory);
  }

  async remove(): Promise<void> {
    this.#watches.dispose();
    await this.end();
  }
}

/** Arguments of a shell that runs a command in a memory cgroup. */
const entering = (directory: string, command: string): string[] => [
  '-c',
  `echo $$ > ${directory}/cgroup.procs && ${command}`,
];

/** Runs a process out of memory; this test sees nothing of it before it is over. */
const hogNow = (directory: string): void => {
  const { signal } = spawnSync('/bin/sh', entering(directory, HOG), { timeout: 60_000 });
  assert.equal(signal, 'SIGKILL');
};

const hog = async (directory: string): Promise<void> => {
  const child = spawn('/bin/sh', entering(directory, HOG), { stdio: 'ignore' });
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL']);
};

const killsIn = (directory: string): number =>
  Number(/^oom_kill (\d+)$/m.exec(readFileSync(join(directory, 'memory.oom_control'), 'utf8'))?.[1]);

test('a process that is killed for want of memory is reported by itself, and exactly once', async (t) => {
  const ground = new Ground(t);
  ground.limit();
  const { watch, seen } = await ground.watch();
  await hog(ground.memory);
  await eventually(() => seen.reports > 0);
  await sleep(QUIET_MS);
  watch.check();
  assert.deepEqual([seen.reports, killsIn(ground.memory)], [1, 1]); // the kernel has given notice twice or more
});

test('an OOM that nobody has told yet is reported by a check, at once and once', async (t) => {
  const ground = new Ground(t);
  ground.limit();
  const { watch, seen } = await ground.watch();
  for (const expected of [1, 2, 3]) {
    hogNow(ground.memory);
    assert.equal(seen.reports, expected - 1);
    watch.check();
    assert.equal(seen.reports, expected);
  }
  await sleep(QUIET_MS);
  assert.equal(seen.reports, 3);
});

test('many kills in a short time are reported at most once each', async (t) => {
  const ground = new Ground(t);
  ground.limit();
  const { watch, seen } = await ground.watch();
  await Promise.all([1, 2, 3, 4, 5, 6].map(() => hog(ground.memory)));
  watch.check();
  const kills = killsIn(ground.memory); // a shell may be killed beside its program
  assert.ok(kills >= 6 && seen.reports >= 1 && seen.reports <= kills, `${seen.reports} reports of ${kills} kills`);
});

test('the removal of the cgroup reports nothing', async (t) => {
  const ground = new Ground(t);
  const { watch, seen } = await ground.watch();
  await ground.end();
  assert.equal(existsSync(ground.memory), false);
  await sleep(QUIET_MS);
  watch.check();
  assert.equal(seen.reports, 0);
});

test('a kill in a cgroup below counts where the limit of the watched cgroup was reached', async (t) => {
  const ground = new Ground(t);
  ground.limit();
  const inner = ground.make(`${ground.memory}/a`);
  const { watch, seen } = await ground.watch();
  hogNow(inner);
  watch.check();
  assert.deepEqual([seen.reports, killsIn(ground.memory), killsIn(inner)], [1, 0, 1]);
});

test('a kill in another child of a parent that is full is not an OOM of this one', async (t) => {
  const ground = new Ground(t);
  ground.limit();
  const [ours, others] = [ground.make(`${ground.memory}/a`), ground.make(`${ground.memory}/b`)];
  const { watch, seen } = await ground.watch(ours);
  hogNow(others);
  watch.check();
  await sleep(QUIET_MS);
  assert.deepEqual([seen.reports, killsIn(others)], [0, 1]);
});

test('where the kernel may not kill, running out of memory is reported once', async (t) => {
  const ground = new Ground(t);
  ground.limit();
  writeFileSync(join(ground.memory, 'memory.oom_control'), '1');
  const { seen } = await ground.watch();
  const child = spawn('/bin/sh', entering(ground.memory, HOG), { stdio: 'ignore' });
  await eventually(() => seen.reports > 0);
  await sleep(QUIET_MS);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.deepEqual([seen.reports, killsIn(ground.memory)], [1, 0]);
});

test('a watch does not keep its process going', async (t) => {
  const pid = await new Ground(t).settle();
  const script = `import { watchOom } from ${JSON.stringify(join(repository, 'shim/cgroup/oom.ts'))};
    import { cgroupPaths } from ${JSON.stringify(join(repository, 'shim/cgroup/paths.ts'))};
    console.log(typeof (await watchOom(cgroupPaths(${pid}), () => undefined)));`;
  const args = ['--no-warnings', '--input-type=module-typescript', '-e', script];
  assert.equal(await must(process.execPath, args, { timeoutMs: 20_000 }), 'object\n');
});

test('a process that has ended but is not reaped is gone, and never taken for one in the root cgroup', async (t) => {
  const ground = new Ground(t);
  const holder = spawn('/bin/sh', entering(ground.memory, 'sleep 0 & echo $!; exec sleep 1000'));
  t.after(() => holder.kill('SIGKILL'));
  const [line] = (await once(holder.stdout, 'data')) as [Buffer];
  const zombie = Number(String(line));
  await eventually(() => /\) Z /.test(readFileSync(`/proc/${zombie}/stat`, 'utf8')));
  assert.throws(() => cgroupPaths(zombie), isNotFound);
  const removed = { version: 2, directory: '/sys/fs/cgroup/none' } as const;
  await assert.rejects(readStats(removed), isNotFound);
  holder.kill('SIGKILL');
  await once(holder, 'exit');
});

test('joinCgroup moves a process in every hierarchy that has the cgroup, and in no other', async (t) => {
  const ground = new Ground(t);
  const pids = ground.make(`/sys/fs/cgroup/pids${ground.path}`);
  const pid = await ground.settle('/sys/fs/cgroup/memory');
  const before = cgroupPaths(pid);
  await joinCgroup(pid, ground.path);
  const after = cgroupPaths(pid);
  assert.ok(before.version === 1 && after.version === 1);
  const moved = new Map([...before.directories, ['memory', ground.memory], ['pids', pids]]);
  assert.deepEqual(after.directories, moved);
});

test('joinCgroup makes no cgroup: one that is nowhere is not found', async (t) => {
  const ground = new Ground(t);
  const path = `${ground.path}-missing`;
  await assert.rejects(joinCgroup(await ground.settle(), path), {
    message: `failed to load cgroup ${path}: cgroup deleted: not found`,
  });
  assert.equal(existsSync(`/sys/fs/cgroup/memory${path}`), false);
});

test('what is mounted on /sys/fs/cgroup decides the version, not that a tree of version 2 is mounted too', async (t) => {
  const ground = new Ground(t);
  const unified = ground.make(`/sys/fs/cgroup/unified${ground.path}`);
  const pid = await ground.settle();
  assert.equal(cgroupPaths(pid).version, 1);
  assert.match((await readStats(cgroupPaths(pid))).typeUrl, /v1\.Metrics$/);
  const script = `
    import { cgroupPaths, joinCgroup } from ${JSON.stringify(join(repository, 'shim/cgroup/paths.ts'))};
    import { readStats } from ${JSON.stringify(join(repository, 'shim/cgroup/stats.ts'))};
    await joinCgroup(${pid}, ${JSON.stringify(ground.path)});
    console.log(JSON.stringify([cgroupPaths(${pid}), (await readStats(cgroupPaths(${pid}))).typeUrl]));`;
  const node = [process.execPath, '--no-warnings', '--input-type=module-typescript', '-e', script];
  const inVersion2 = ['--mount', 'sh', '-c', 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"', 'sh', ...node];
  assert.deepEqual(JSON.parse(await must('unshare', inVersion2, { timeoutMs: 20_000 })), [
    { version: 2, directory: `/sys/fs/cgroup${ground.path}` },
    'io.containerd.cgroups.v2.Metrics',
  ]);
  assert.equal(readFileSync(join(unified, 'cgroup.procs'), 'utf8'), `${pid}\n`);
});

test('the metrics of a container are those that containerd itself gives', async () => {
  const daemon = await startContainerd(bed);
  const rootfs = makeRootfs(bed.path('rootfs'));
  const flags = ['--memory-limit', '67108864', '--cpu-quota', '50000', '--cpu-period', '100000'];
  const command = ['/bin/sh', '-c', 'dd if=/bin/busybox of=/tmp/a conv=fsync; exec sleep 1000'];
  await daemon.ctr.ok('run', '-d', '--null-io', ...flags, '--rootfs', rootfs, 'a', ...command);
  const client = daemon.client();
  bed.defer(() => client.close());
  const tasks = client.service(TasksDefinition);
  const pid = (await tasks.get({ containerId: 'a' })).process?.pid ?? 0;
  await eventually(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('sleep'));
  await tasks.pause({ containerId: 'a' }); // what is frozen keeps its figures
  await eventually(async () => {
    const theirs = (await tasks.metrics({ filters: ['id==a'] })).metrics[0]?.data;
    const ours = await readStats(cgroupPaths(pid));
    assert.equal(ours.typeUrl, theirs?.typeUrl);
    const expected = Metrics.decode(theirs?.value ?? new Uint8Array());
    assert.equal(expected.memory?.usage?.limit, 67_108_864n);
    assert.deepEqual(Metrics.decode(ours.value), expected);
    return true;
  });
});
