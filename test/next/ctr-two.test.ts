import './peers.ts';
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { compareSides } from '../compat/sides.ts';
import type { Result } from '../harness/exec.ts';
import { testBed } from '../harness/temp.ts';

// What ctr 2 can ask and ctr 1.6 could not, on containerd 2 and on ours.

const bed = testBed();
const compare = compareSides(bed);
const ID = 'a';
const sh = (script: string): string[] => ['/bin/sh', '-c', script];

compare(
  'ctr and containerd are of the second major version',
  async (side) => {
    const { stdout } = await side.ctr.run(['version']);
    const [client, server] = stdout.split('Server:').map((part) => /Version: +(\d+)/.exec(part)?.[1]);
    return { client, server: side.daemon.kind === 'containerd' ? server : '2' };
  },
  (seen) => assert.deepEqual(seen, { client: '2', server: '2' }),
);

compare(
  'run --user, by number, by name and with a group',
  async (side) => {
    const seen: Result[] = [];
    for (const user of ['1000', 'user', '1000:2000', 'user:extra', 'nobody-there', '4294967296'])
      seen.push(await side.run(['--rm', '--user', user], ID, ['/bin/id']));
    return seen;
  },
  (seen) => {
    assert.match(seen[1]?.stdout ?? '', /^uid=1000\(user\) gid=1000\(user\)/);
    assert.deepEqual(
      seen.map(({ status }) => status),
      [0, 0, 0, 0, 1, 1],
    );
  },
);

compare(
  'run --hostname',
  (side) => side.run(['--rm', '--hostname', 'name.of.host'], ID, ['/bin/hostname']),
  ({ status, stdout }) => assert.deepEqual([status, stdout], [0, 'name.of.host\n']),
);

compare(
  'run --cpuset-cpus and --cpuset-mems',
  async (side) => {
    await side.start(ID, { flags: ['--cpuset-cpus', '0', '--cpuset-mems', '0'] });
    const text = readFileSync(`/proc/${await side.pid(ID)}/status`, 'utf8');
    return ['Cpus', 'Mems'].map((kind) => new RegExp(`^${kind}_allowed_list:\\s+(\\S+)`, 'm').exec(text)?.[1]);
  },
  (seen) => assert.deepEqual(seen, ['0', '0']),
);

compare(
  'run --privileged --privileged-without-host-devices',
  (side) =>
    side.run(
      ['--rm', '--privileged', '--privileged-without-host-devices'],
      ID,
      sh('ls /dev; grep CapEff /proc/self/status'),
    ),
  ({ stdout }) => assert.match(stdout, /^fd\nfull\nmqueue\n[^]*CapEff:\s[0-9a-f]+ff\n$/),
);

compare(
  'containers create --user --hostname --runc-root, and tasks start --no-pivot of it',
  async (side) => {
    const root = side.path('runc-root');
    const flags = ['--user', '1000', '--hostname', 'other', '--runc-root', root, '--rootfs', side.rootfs];
    const create = await side.ctr.run(['containers', 'create', ...flags, ID, ...sh('id -u; hostname; exit 5')]);
    const start = await side.ctr.run(['tasks', 'start', '--no-pivot', ID]);
    return { create, start, used: existsSync(root) };
  },
  ({ start, used }) => assert.deepEqual([start.status, start.stdout, used], [5, '1000\nother\n', true]),
);

compare(
  'info gives the daemon’s process and its namespace of pids',
  async (side) => {
    const { server } = JSON.parse(await side.ctr.ok('info')) as { server: Record<string, unknown> };
    return { keys: Object.keys(server), pid: server['pid'] === side.daemon.pid, pidns: server['pidns'] };
  },
  ({ keys, pid }) => assert.deepEqual([keys, pid], [['uuid', 'pid', 'pidns'], true]),
);

compare(
  'no use of anything deprecated is told of',
  (side) => side.ctr.run(['deprecations', 'list']),
  ({ status, stdout }) => assert.deepEqual([status, stdout], [0, '']),
);

compare(
  'plugins ls takes filters, and shows details',
  async (side) => {
    const filter = 'id==tasks,type==io.containerd.grpc.v1';
    const detailed = await side.ctr.ok('plugins', 'ls', '--detailed', filter);
    return { list: await side.ctr.run(['plugins', 'ls', filter]), detailed };
  },
  ({ list, detailed }) => {
    assert.match(list.stdout, /io\.containerd\.grpc\.v1 +tasks +- +ok/);
    assert.match(detailed, /^ID: +tasks$/m);
  },
);

compare(
  'plugins inspect-runtime says what the runtime can do',
  async (side) => (JSON.parse(await side.ctr.ok('plugins', 'inspect-runtime')) as RuntimeInfo).Features,
  (features) => assert.equal(features.ociVersionMin, '1.0.0'),
);

interface RuntimeInfo {
  readonly Features: { readonly ociVersionMin: string };
}
