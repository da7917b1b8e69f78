import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { codes } from '../../common/errdefs.ts';
import { ContainersDefinition } from '../../proto/gen/containerd/services/containers/v1/containers.ts';
import { NamespacesDefinition } from '../../proto/gen/containerd/services/namespaces/v1/namespaces.ts';
import { Side } from '../compat/sides.ts';
import { startHoldfast } from '../harness/daemon.ts';
import type { RawClient } from '../harness/grpc.ts';
import { testBed } from '../harness/temp.ts';

// What a client calls things becomes parts of paths only after it has passed the grammar, and is data everywhere else.

const bed = testBed();
let side: Side;
let client: RawClient;
before(async () => {
  side = new Side(bed, await startHoldfast(bed));
  client = side.daemon.client();
  bed.defer(() => client.close());
});

const WRONG = ['../x', '..', '.', '/etc', 'a/b', 'a\0b', 'a\nb', '-a', 'a_', 'a..b', 'ä', 'a b', 'x'.repeat(77)];
const spec = { typeUrl: 'types.containerd.io/opencontainers/runtime-spec/1/Spec', value: Buffer.from('{}') };
const runtime = { name: 'io.containerd.runc.v2', options: undefined };

const codeOf = (call: Promise<unknown>): Promise<number> =>
  call.then(
    () => codes.ok,
    (error: { code: number }) => error.code,
  );

test('a container id outside the grammar is refused', async () => {
  const containers = client.service(ContainersDefinition);
  for (const id of WRONG) {
    assert.equal(
      await codeOf(containers.create({ container: { ...EMPTY, id, runtime, spec } })),
      codes.invalidArgument,
      id,
    );
  }
});

test('a namespace outside the grammar is refused, as a name and as metadata', async () => {
  const namespaces = client.service(NamespacesDefinition);
  for (const name of WRONG) {
    const namespace = { name, labels: new Map<string, string>() };
    assert.equal(await codeOf(namespaces.create({ namespace })), codes.invalidArgument, name);
  }
  const containers = client.service(ContainersDefinition);
  for (const name of ['../x', 'a/b', '.']) {
    const call = containers.create(
      { container: { ...EMPTY, id: 'a', runtime, spec } },
      { metadata: { 'containerd-namespace': name } },
    );
    assert.equal(await codeOf(call), codes.invalidArgument, name);
  }
});

test('an exec id outside the grammar is refused, and no file appears beside the bundle', async () => {
  await side.start('a');
  const bundles = join(side.daemon.state, 'io.containerd.runtime.v2.task', side.daemon.namespace);
  const files = (): Set<string> => new Set(readdirSync(bundles, { recursive: true, encoding: 'utf8' }));
  const before = files();
  const process = { args: ['/bin/true'], cwd: '/', user: { uid: 0, gid: 0 } };
  const any = {
    typeUrl: 'types.containerd.io/opencontainers/runtime-spec/1/Process',
    value: Buffer.from(JSON.stringify(process)),
  };
  for (const execId of WRONG) {
    const call = side.tasks.exec({ containerId: 'a', execId, spec: any });
    assert.equal(await codeOf(call), codes.invalidArgument, JSON.stringify(execId));
  }
  assert.deepEqual(files(), before);
  await side.ctr.removeAll();
});

test('a task of an id outside the grammar is an error, whatever is asked of it', async () => {
  for (const containerId of WRONG) {
    for (const call of [
      side.tasks.create({ containerId }),
      side.tasks.start({ containerId }),
      side.tasks.delete({ containerId }),
    ]) {
      assert.notEqual(await codeOf(call), codes.ok, JSON.stringify(containerId));
    }
  }
});

test('__proto__ and constructor are labels like any other', async () => {
  const containers = client.service(ContainersDefinition);
  const labels = new Map([
    ['__proto__', 'polluted'],
    ['constructor', 'x'],
    ['hasOwnProperty', 'y'],
  ]);
  await containers.create({ container: { ...EMPTY, id: 'proto', labels, runtime, spec } });
  const { container } = await containers.get({ id: 'proto' });
  assert.deepEqual(Object.fromEntries(container?.labels ?? []), Object.fromEntries(labels));
  const { containers: found } = await containers.list({ filters: ['labels.__proto__==polluted'] });
  assert.deepEqual(
    found.map(({ id }) => id),
    ['proto'],
  );
  assert.equal((await containers.list({ filters: ['labels.toString'] })).containers.length, 0);
  await containers.delete({ id: 'proto' });
});

test('a Spec with __proto__ in it runs, and changes nothing else', async () => {
  await side.create('p', ['/bin/sh', '-c', 'exit 3'], (model) => {
    model.annotations = JSON.parse('{"__proto__": "x", "io.containerd.runc.v2.group": "../../up"}') as Record<
      string,
      string
    >;
  });
  const { status } = await side.ctr.run(['tasks', 'start', 'p']);
  assert.equal(status, 3);
  assert.ok(!readdirSync(side.daemon.state).includes('up'));
  await side.ctr.removeAll();
});

const EMPTY = {
  id: '',
  labels: new Map<string, string>(),
  image: '',
  snapshotter: '',
  snapshotKey: '',
  createdAt: undefined,
  updatedAt: undefined,
  extensions: new Map(),
  sandbox: '',
};
