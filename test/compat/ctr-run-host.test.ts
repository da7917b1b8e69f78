import assert from 'node:assert/strict';
import { existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { compareSides, type Spec } from './sides.ts';

// The flags of `ctr run` that name something of the host: a user, a namespace, a cgroup, a file.

const bed = testBed();
const compare = compareSides(bed);
const sh = (script: string): string[] => ['/bin/sh', '-c', script];

compare(
  'a Spec of the client with another user and its groups',
  async (side) => {
    await side.create('a', ['/bin/id'], ({ process }) => {
      process.user = { uid: 1000, gid: 1000, additionalGids: [1000, 2000] };
    });
    return side.ctr.run(['tasks', 'start', 'a']);
  },
  ({ status, stdout }) => {
    assert.equal(status, 0);
    assert.match(stdout, /uid=1000\(user\) gid=1000\(user\) groups=1000\(user\),2000\(extra\)/);
  },
);

compare(
  'a Spec with a user namespace of its own: root of the container is somebody else outside',
  async (side) => {
    const mapping = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
    await side.create('a', ['/bin/cat', '/proc/self/uid_map'], ({ linux }) => {
      linux.namespaces.push({ type: 'user' });
      linux.uidMappings = mapping;
      linux.gidMappings = mapping;
    });
    return side.ctr.run(['tasks', 'start', 'a']);
  },
  ({ status, stdout }) => {
    assert.equal(status, 0);
    assert.match(stdout, /^ +0 +100000 +65536\n$/);
  },
);

compare(
  '--with-ns joins a namespace of another container',
  async (side) => {
    await side.start('first');
    const pid = await side.pid('first');
    const namespace = (name: string): string => readlinkSync(`/proc/${pid}/ns/${name}`);
    side.hide(namespace('net'), 'net of first');
    const flags = ['--with-ns', `network:/proc/${pid}/ns/net`];
    return side.run(['--rm', ...flags], 'second', ['/bin/readlink', '/proc/self/ns/net']);
  },
  ({ status, stdout }) => {
    assert.equal(status, 0);
    assert.match(stdout, /^net:/);
  },
);

compare(
  '--net-host is the network of the host',
  (side) => side.run(['--rm', '--net-host'], 'a', ['/bin/readlink', '/proc/self/ns/net']),
  ({ stdout }) => assert.equal(stdout.trim(), readlinkSync('/proc/self/ns/net')),
);

compare(
  '--pid-file holds the pid of the init',
  async (side) => {
    const file = side.path('pid');
    await side.start('a', { flags: ['--pid-file', file] });
    return { same: Number(readFileSync(file, 'utf8')) === (await side.pid('a')) };
  },
  ({ same }) => assert.equal(same, true),
);

compare(
  '--log-uri file:// gets the output of a container that nobody watches',
  async (side) => {
    const file = side.path('log');
    writeFileSync(file, 'before\n');
    const script = sh('echo out; echo err >&2; exec sleep 1000');
    const run = await side.run(['-d', '--log-uri', `file://${file}`], 'a', script);
    const log = await eventually(() => both(file), { what: 'both lines' });
    // containerd copies the two streams each for itself, in no order.
    return { run, lines: log.split('\n').sort() };
  },
  ({ run, lines }) => {
    assert.equal(run.status, 0);
    assert.deepEqual(lines, ['', 'before', 'err', 'out']);
  },
);

compare(
  '--log-uri binary:// starts the logger with both streams, the ids and the arguments',
  async (side) => {
    const [program, log] = [side.path('logger'), side.path('logged')];
    // Descriptors 3 and 4: stdout and stderr; 5: closed once it is ready.
    const lines = [
      '#!/bin/sh',
      `echo "id=$CONTAINER_ID namespace=$CONTAINER_NAMESPACE args=$*" > ${log}`,
      'exec 5>&-',
      `{ while read -r line; do echo "out: $line"; done <&3; } >> ${log} &`,
      `{ while read -r line; do echo "err: $line"; done <&4; } >> ${log} &`,
      'wait',
    ];
    writeFileSync(program, `${lines.join('\n')}\n`, { mode: 0o755 });
    const flags = ['-d', '--log-uri', `binary://${program}?key=value`];
    const run = await side.run(flags, 'a', sh('echo one; echo two >&2; exit 0'));
    const logged = await eventually(() => both(log), { what: 'both lines' });
    return { run, logged: logged.split('\n').sort() };
  },
  ({ run, logged }) => {
    assert.equal(run.status, 0);
    assert.deepEqual(
      logged.filter((line) => /^(out|err)/.test(line)),
      ['err: two', 'out: one'],
    );
    assert.ok(
      logged.some((line) => line.includes('id=a') && line.includes('args=key value')),
      logged.join('\n'),
    );
  },
);

compare(
  '--cgroup puts the container where it says, with --memory-limit, --cpus and --cpu-shares in force',
  async (side) => {
    const cgroup = `/${side.daemon.namespace}-other/x`;
    const flags = ['--cgroup', cgroup, '--memory-limit', '67108864', '--cpus', '0.5', '--cpu-shares', '512'];
    await side.start('a', { flags });
    const read = (path: string): string => readFileSync(`/sys/fs/cgroup/${path}`, 'utf8').trim();
    const pid = await side.pid('a');
    const memory = /memory:(.*)/.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1];
    return {
      memory,
      limit: read(`memory${cgroup}/memory.limit_in_bytes`),
      quota: read(`cpu${cgroup}/cpu.cfs_quota_us`),
      shares: read(`cpu${cgroup}/cpu.shares`),
    };
  },
  (seen) => assert.deepEqual([seen.limit, seen.quota, seen.shares], ['67108864', '50000', '512']),
);

compare(
  'a container that needs more than its --memory-limit is killed: 137',
  (side) => side.run(['--rm', '--memory-limit', '16777216'], 'a', sh('x=a; while :; do x=$x$x; done')),
  ({ status }) => assert.equal(status, 137),
);

const LABELS = { one: '1', two: 'a=b' };

compare(
  '--label and --annotation are kept; this ctr makes annotations of labels too',
  async (side) => {
    await side.start('a', { flags: ['--label', 'one=1', '--label', 'two=a=b', '--annotation', 'x/y=z'] });
    const info = JSON.parse(await side.ctr.ok('containers', 'info', 'a')) as Info;
    return { labels: info.Labels, annotations: info.Spec.annotations };
  },
  ({ labels, annotations }) => assert.deepEqual([labels, annotations], [LABELS, { ...LABELS, 'x/y': 'z' }]),
);

compare(
  '--device and --privileged show devices of the host',
  (side) => side.run(['--rm', '--device', '/dev/fuse'], 'a', sh('ls /dev/fuse 2>&1; ls /dev | wc -l')),
  ({ stdout }) => assert.match(stdout, existsSync('/dev/fuse') ? /^\/dev\/fuse/ : /No such file/),
);

const both = (file: string): string | undefined => {
  const text = readFileSync(file, 'utf8');
  return text.includes('out') && text.includes('err') ? text : undefined;
};

interface Info {
  readonly Labels: Record<string, string>;
  readonly Spec: Spec;
}
