import assert from 'node:assert/strict';
import { testBed } from '../harness/temp.ts';
import { compareSides } from './sides.ts';

// `ctr containers`, `namespaces`, `plugins`, `version`, `leases` on containerd and on ours.

const bed = testBed();
const compare = compareSides(bed);

compare(
  'containers create, ls, ls -q, info, rm',
  async (side) => {
    const create = await side.ctr.run([
      'containers',
      'create',
      '--label',
      'x=y',
      '--rootfs',
      side.rootfs,
      'a',
      '/bin/true',
    ]);
    return {
      create,
      ls: await side.ctr.ok('containers', 'ls'),
      quiet: await side.ctr.ok('containers', 'ls', '-q'),
      info: JSON.parse(await side.ctr.ok('containers', 'info', 'a')) as unknown,
      spec: JSON.parse(await side.ctr.ok('containers', 'info', '--spec', 'a')) as unknown,
      rm: await side.ctr.run(['containers', 'rm', 'a']),
      after: await side.ctr.ok('containers', 'ls'),
    };
  },
  ({ ls, quiet, rm, after }) => {
    assert.match(ls, /^CONTAINER +IMAGE +RUNTIME +\na +- +io.containerd.runc.v2 +\n$/);
    assert.deepEqual([quiet, rm.status, after.split('\n').length], ['a\n', 0, 2]);
  },
);

compare(
  'containers ls takes filters, by id, label and runtime',
  async (side) => {
    for (const id of ['a', 'b', 'c.d_e-f']) {
      await side.ctr.ok(
        'containers',
        'create',
        '--label',
        `name=${id}`,
        '--label',
        'k/e.y=v',
        '--rootfs',
        side.rootfs,
        id,
        '/bin/true',
      );
    }
    const filters = [
      'id==a',
      'id~=^[ab]$',
      'labels.name==b',
      'labels."k/e.y"==v,id!=a',
      'runtime.name==nothing',
      'labels.none',
      'id==',
    ];
    return Promise.all(filters.map((filter) => side.ctr.run(['containers', 'ls', '-q', filter])));
  },
  (results) =>
    assert.deepEqual(
      results.slice(0, 4).map(({ stdout }) => stdout),
      ['a\n', 'a\nb\n', 'b\n', 'b\nc.d_e-f\n'],
    ),
);

compare(
  'containers label sets, changes and clears',
  async (side) => {
    await side.ctr.ok('containers', 'create', '--label', 'keep=1', '--rootfs', side.rootfs, 'a', '/bin/true');
    const seen = [
      await side.ctr.run(['containers', 'label', 'a', 'one=1']),
      await side.ctr.run(['containers', 'label', 'a', 'one=2', 'a.b/c=d e']),
      await side.ctr.run(['containers', 'label', 'a', 'keep=']),
      await side.ctr.run(['containers', 'label', 'nothing', 'x=y']),
    ];
    // ctr prints labels in the order of a Go map.
    return seen.map((result) => ({ ...result, stdout: result.stdout.trim().split(',').toSorted().join() }));
  },
  (seen) => assert.equal(seen[2]?.stdout, 'a.b/c=d e,one=2'),
);

compare(
  'containers rm of a running one is refused, and of several names every one',
  async (side) => {
    await side.start('a');
    await side.ctr.ok('containers', 'create', '--rootfs', side.rootfs, 'b', '/bin/true');
    const refused = await side.ctr.run(['containers', 'rm', 'a', 'b']);
    return { refused, left: await side.ctr.ok('containers', 'ls', '-q') };
  },
  ({ refused, left }) => assert.deepEqual([refused.status, left], [1, 'a\n']),
);

compare(
  'an id that is taken, and ids that the grammar refuses',
  async (side) => {
    await side.ctr.ok('containers', 'create', '--rootfs', side.rootfs, 'a', '/bin/true');
    const ids = ['a', '../x', 'x/y', '.', '-x', 'x_', 'ä', 'x'.repeat(76), 'x'.repeat(77), 'x y', 'a..b', '__proto__'];
    return Promise.all(
      ids.map((id) => side.ctr.run(['containers', 'create', '--rootfs', side.rootfs, id, '/bin/true'])),
    );
  },
  (results) => {
    assert.match(results[0]?.stderr ?? '', /already exists/);
    assert.match(results[1]?.stderr ?? '', /must match/);
    assert.deepEqual([results[7]?.status, results[8]?.status], [0, 1]);
  },
);

compare(
  'labels that are too long are refused',
  async (side) => {
    const create = (label: string) =>
      side.ctr.run(['containers', 'create', '--label', label, '--rootfs', side.rootfs, 'a', '/bin/true']);
    const results = [await create(`k=${'v'.repeat(4096)}`), await create(`k=${'v'.repeat(4000)}`)];
    // containerd 2 says the length too.
    return results.map((result) => ({ ...result, stderr: result.stderr.replace(/ length \(\d+ bytes\)/, '') }));
  },
  (results) =>
    assert.deepEqual(
      results.map(({ status }) => status),
      [1, 0],
    ),
);

compare(
  'namespaces create, ls, label, rm',
  async (side) => {
    const name = `${side.daemon.namespace}-x`;
    const ctr = side.ctr;
    const seen = [
      await ctr.run(['namespaces', 'create', name, 'a=b', 'c.d/e=f']),
      await ctr.run(['namespaces', 'create', name]),
      await ctr.run(['namespaces', 'ls']),
      await ctr.run(['namespaces', 'label', name, 'a=', 'g=h']),
      await ctr.run(['namespaces', 'ls']),
      await ctr.run(['namespaces', 'ls', '-q']),
      await ctr.run(['namespaces', 'rm', name]),
      await ctr.run(['namespaces', 'rm', name]),
      await ctr.run(['namespaces', 'label', name, 'a=b']),
      await ctr.run(['namespaces', 'create', 'no/such']),
    ];
    // Labels come in the order of a Go map here too.
    return seen.map((result) => ({ ...result, stdout: result.stdout.split(/[\s,]+/).toSorted() }));
  },
  (seen) =>
    assert.deepEqual(
      seen.map(({ status }) => status),
      [0, 1, 0, 0, 0, 0, 0, 0, 0, 1],
    ),
);

compare(
  'a namespace that is not empty cannot be removed',
  async (side) => {
    const name = `${side.daemon.namespace}-y`;
    const ctr = side.ctr.in(name);
    await ctr.ok('containers', 'create', '--rootfs', side.rootfs, 'a', '/bin/true');
    const refused = await ctr.run(['namespaces', 'rm', name]);
    await ctr.ok('containers', 'rm', 'a');
    return [refused, await ctr.run(['namespaces', 'rm', name])];
  },
  ([refused, removed]) => {
    assert.match(refused?.stderr ?? '', /must be empty/);
    assert.equal(removed?.status, 0);
  },
);

compare(
  'the same id in two namespaces is two containers',
  async (side) => {
    const other = side.ctr.in(`${side.daemon.namespace}-z`);
    await side.start('a');
    await other.ok('run', '-d', '--null-io', '--rootfs', side.rootfs, 'a', '/bin/sleep', '1000');
    const running = async (): Promise<number> => (await side.ctr.ok('tasks', 'ls', '-q')).length;
    const before = await running();
    await other.removeAll();
    return { before, after: await running() };
  },
  (seen) => assert.deepEqual(seen, { before: 2, after: 2 }),
);

compare(
  'leases create, ls, rm',
  async (side) => {
    const seen = [
      await side.ctr.run(['leases', 'create', '--id', 'l', 'a=b']),
      await side.ctr.run(['leases', 'ls']),
      await side.ctr.run(['leases', 'create', '--id', 'l']),
      await side.ctr.run(['leases', 'rm', '--sync', 'l']),
      await side.ctr.run(['leases', 'ls', '-q']),
    ];
    return seen;
  },
  (seen) => assert.equal(seen[1]?.stdout.split('\n').length, 3),
);

compare(
  'plugins ls has the same columns, and every plugin of ours has a type that containerd knows',
  async (side) => {
    const [head = '', ...rows] = (await side.ctr.ok('plugins', 'ls')).trimEnd().split('\n');
    const plugins = rows.map((row) => row.trim().split(/\s+/));
    const api = plugins.filter(([type]) => type === 'io.containerd.grpc.v1').map(([, id]) => id);
    return {
      columns: head.trim().split(/\s+/),
      shape: plugins.every(
        ([type, , , status]) => /^io\.containerd\.[\w.-]+\.v\d$/.test(type ?? '') && status !== undefined,
      ),
      api: ['containers', 'events', 'healthcheck', 'introspection', 'leases', 'namespaces', 'tasks', 'version'].filter(
        (id) => api.includes(id),
      ),
    };
  },
  ({ columns, shape, api }) => {
    assert.deepEqual(columns, ['TYPE', 'ID', 'PLATFORMS', 'STATUS']);
    assert.deepEqual([shape, api.length], [true, 8]);
  },
);

compare(
  'version prints the server in the same form',
  async (side) => {
    const { status, stdout } = await side.ctr.run(['version']);
    return { status, form: stdout.replaceAll(/:.*$/gm, ':') }; // a containerd may have been built without a revision
  },
  ({ status, form }) => {
    assert.equal(status, 0);
    assert.match(form, /Server:\n +Version:\n +Revision:\n +UUID:/);
  },
);
