import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { nanosFromTimestamp } from '../../common/timestamp.ts';
import { nowNanos } from '../../native/index.ts';
import { Ctr } from '../harness/ctr.ts';
import { must } from '../harness/exec.ts';
import { makeRootfs } from '../harness/rootfs.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { EventLog } from './event-log.ts';
import { Unit } from './unit.ts';

// The unit file under a real systemd, with the daemon's own default paths: what it promises an operator.

const bed = testBed();
const unit = new Unit();
const address = '/run/holdfast/holdfast.sock';
const namespace = bed.name;
const ctr = new Ctr({ address, namespace, fifos: bed.folder('fifos') });
const rootfs = makeRootfs(bed.path('rootfs'));
const CONFIG = '/etc/holdfast/config.toml';

before(() => unit.install());
after(async () => {
  await unit.ask('start');
  await ctr.removeAll();
  await unit.ask('stop');
  await unit.remove();
});

test('a daemon that cannot serve fails systemctl start, and the journal has the reason', async () => {
  mkdirSync('/etc/holdfast', { recursive: true });
  writeFileSync(CONFIG, `[daemon]\naddress = "/run/${'x'.repeat(200)}.sock"\n`);
  const { status } = await unit.systemctl('start');
  rmSync(CONFIG);
  assert.notEqual(status, 0);
  assert.match(await unit.journal(), /holdfastd: socket path .* has 210 bytes/);
  await unit.ask('stop');
});

test('systemctl start returns when the daemon serves, not sooner', async () => {
  await unit.ask('start');
  assert.match(await ctr.ok('version'), /Server:/); // the first try
  assert.deepEqual(await Promise.all(['ActiveState', 'SubState'].map((name) => unit.property(name))), [
    'active',
    'running',
  ]);
  const pid = await unit.mainPid();
  assert.match(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), /holdfastd\.mjs/);
  assert.equal(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8'), '-999\n');
  assert.equal(readFileSync(`/sys/fs/cgroup${unit.cgroup}/pids.max`, 'utf8'), 'max\n');
  assert.match(await unit.journal(), /"msg":"serving"/);
});

test('nothing of a container is lost by systemctl restart', () =>
  outage({ cut: () => unit.ask('restart'), back: async () => undefined }));

test('nothing of a container is lost by systemctl stop, and what ends before the next start is told then', () =>
  outage({ cut: () => unit.ask('stop'), back: () => unit.ask('start') }));

test('nothing of a container is lost by kill -9, and systemd starts the daemon again', async () => {
  const killed = await unit.mainPid();
  await outage({
    cut: async () => {
      process.kill(killed, 'SIGKILL');
      await gone(killed);
    },
    back: async () => void (await unit.activeAgain(killed)),
  });
  assert.equal(await unit.property('NRestarts'), '1');
});

test('when the last container is gone and the daemon is stopped, no process of the unit is left', async () => {
  await ctr.ok('run', '--rm', '--null-io', '--rootfs', rootfs, 'last', '/bin/true');
  await unit.ask('stop');
  const directory = `/sys/fs/cgroup${unit.cgroup}`;
  await eventually(() => !existsSync(directory) || readFileSync(`${directory}/cgroup.procs`, 'utf8') === '');
  await unit.ask('start');
});

interface Outage {
  readonly cut: () => Promise<void>;
  readonly back: () => Promise<void>;
}

let outages = 0;

/** Two containers live through an outage; one ends when the daemon has been cut, the other goes on. */
const outage = async ({ cut, back }: Outage): Promise<void> => {
  const gate = `${rootfs}/tmp/gate`;
  const ending = `ends-${(outages += 1)}`;
  await must('mkfifo', [gate]);
  await ctr.ok('run', '-d', '--null-io', '--rootfs', rootfs, 'stays', '/bin/sleep', '1000');
  await ctr.ok('run', '-d', '--null-io', '--rootfs', rootfs, ending, '/bin/sh', '-c', 'read x < /tmp/gate; exit 7');
  const [stays, ends] = await Promise.all([pidOf('stays'), pidOf(ending)]);
  const shims = [parentOf(stays), parentOf(ends)].map(identity);
  for (const { pid } of shims) assert.equal(readFileSync(`/proc/${pid}/cgroup`, 'utf8'), `0::${unit.cgroup}\n`);

  await cut();
  const began = nowNanos();
  await must('sh', ['-c', `echo > ${gate}`]);
  await gone(ends);
  const ended = nowNanos();
  assert.deepEqual(
    shims.map(({ pid }) => identity(pid)),
    shims,
    'the shims live',
  );
  await back();

  assert.deepEqual(await tasks(), { stays: `${stays} RUNNING`, [ending]: `${ends} STOPPED` });
  assert.deepEqual(identity(parentOf(stays)), shims[0]);
  assert.equal((await ctr.run(['tasks', 'exec', '--exec-id', 'x', 'stays', '/bin/sh', '-c', 'exit 5'])).status, 5);
  using events = new EventLog(address, namespace);
  assert.match((await ctr.run(['tasks', 'rm', ending])).stderr, /non-zero exit code 7/);
  await events.topics(ending);
  const [exit, ...more] = events.exits(ending);
  const at = nanosFromTimestamp(exit?.exitedAt);
  assert.deepEqual([exit?.pid, exit?.exitStatus, more], [ends, 7, []]);
  assert.ok(at >= began && at <= ended, 'when it happened, not when it was told');
  await ctr.ok('containers', 'rm', ending);
  await ctr.ok('tasks', 'rm', '-f', 'stays');
  await ctr.ok('containers', 'rm', 'stays');
  rmSync(gate);
};

/** `PID STATUS` of each task. */
const tasks = async (): Promise<Record<string, string>> => {
  const rows = (await ctr.ok('tasks', 'ls')).split('\n').slice(1, -1);
  return Object.fromEntries(rows.map((row) => row.trim().split(/\s+/)).map(([id, ...rest]) => [id, rest.join(' ')]));
};

const pidOf = async (id: string): Promise<number> => Number((await tasks())[id]?.split(' ')[0]);

/** Fields of /proc/PID/stat behind the name. Source: proc_pid_stat(5). */
const statOf = (pid: number): string[] => {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
};

const parentOf = (pid: number): number => Number(statOf(pid)[1]);

/** A process that is not another one with the same id. */
const identity = (pid: number): { pid: number; startTime: string | undefined } => ({ pid, startTime: statOf(pid)[19] });

const gone = (pid: number): Promise<boolean> =>
  eventually(() => !existsSync(`/proc/${pid}`), { what: `the end of ${pid}` });
