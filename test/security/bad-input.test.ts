import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { jsonTypes } from '../../common/any.ts';
import { codes } from '../../common/errdefs.ts';
import { Options } from '../../proto/gen/containerd/runc/v1/runc_options.ts';
import { ContainersDefinition } from '../../proto/gen/containerd/services/containers/v1/containers.ts';
import { EventsDefinition } from '../../proto/gen/containerd/services/events/v1/events.ts';
import { LeasesDefinition } from '../../proto/gen/containerd/services/leases/v1/leases.ts';
import { type CreateTaskRequest, TasksDefinition } from '../../proto/gen/containerd/services/tasks/v1/tasks.ts';
import { VersionDefinition } from '../../proto/gen/containerd/services/version/v1/version.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import { compareSides, type Side } from '../compat/sides.ts';
import { fill } from '../harness/disk.ts';
import { must } from '../harness/exec.ts';
import { findTaskFiles } from '../harness/leaks.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { TaskWorld } from '../integration/tasks-harness.ts';
import { type Outcome, outcomeOf, rawCall } from './raw-call.ts';

// What is wrong in a request is refused with containerd's code, in its words where they are not those of Go's own
// libraries, and leaves nothing behind. Identifiers: identifiers.test.ts; sizes: amplification.test.ts.

const compare = compareSides(testBed());

type Case = readonly [name: string, act: (side: Side) => Promise<Outcome>];
type Row = readonly [name: string, code: number, details?: string];

/** Both refuse, with the same code and in the same words. */
const same = (promise: string, cases: readonly Case[]): void =>
  refused(promise, cases, (name, it) => [name, it.code, it.details]);

/** Both refuse with the same code; ours says what is wrong in words of its own. */
const sameCode = (promise: string, cases: readonly (readonly [...Case, words: RegExp])[]): void => {
  const wordsOf = new Map(cases.map(([name, , words]) => [name, words]));
  refused(promise, cases, (name, { code, details }, side) => {
    if (isOurs(side)) assert.match(details, wordsOf.get(name) ?? /^$/, name);
    return [name, code];
  });
};

const refused = (
  promise: string,
  cases: readonly (readonly [name: string, act: Case[1], ...unknown[]])[],
  row: (name: string, outcome: Outcome, side: Side) => Row,
): void =>
  compare(
    promise,
    async (side) => {
      const rows: Row[] = [];
      for (const [name, act] of cases) rows.push(row(name, await act(side), side));
      if (isOurs(side))
        await eventually(() => findTaskFiles(side.daemon.state).length === 0, { what: 'nothing to be left' });
      return rows;
    },
    (rows) =>
      assert.ok(
        rows.every(([, code]) => code !== codes.ok),
        'containerd refuses too',
      ),
  );

const isOurs = ({ daemon }: Side): boolean => daemon.kind === 'holdfast';

// What is no call.

const CONTAINERS = `/${ContainersDefinition.fullName}`;
const raw =
  (path: string, bytes: readonly number[]) =>
  (side: Side): Promise<Outcome> =>
    rawCall(side.daemon.address, path, Uint8Array.from(bytes), { 'containerd-namespace': 'default' });

same('a message that is cut is INTERNAL', [
  ['in a length', raw(`${CONTAINERS}/Get`, [0x0a, 0xff, 0xff, 0xff, 0xff])],
  ['in a string', raw(`${CONTAINERS}/Get`, [0x0a, 5, 65])],
  ['in a message within', raw(`${CONTAINERS}/Create`, [0x0a, 4, 0x0a, 9, 65, 65])],
]);

const MALFORMED = /^grpc: error unmarshalling request: /;
sameCode('a message with a tag that can be none is INTERNAL', [
  ['no such wire type', raw(`${CONTAINERS}/Get`, [0x0f]), MALFORMED],
  ['tag 0', raw(`${CONTAINERS}/Get`, [0x00, 1]), MALFORMED],
  ['the end of no group', raw(`${CONTAINERS}/Get`, [0x0c, 1]), MALFORMED],
]);

sameCode('a service or method that is not there is UNIMPLEMENTED, by whatever name', [
  ['service', raw('/no.such.Service/Get', []), /no\.such\.Service/],
  ['method', raw(`${CONTAINERS}/Nope`, []), /Nope/],
  ['__proto__', raw(`${CONTAINERS}/__proto__`, []), /__proto__/],
  ['constructor', raw('/constructor/constructor', []), /constructor/],
]);

const compressed =
  (algorithm: grpc.compressionAlgorithms): Case[1] =>
  (side) =>
    rawCall(
      side.daemon.address,
      `/${VersionDefinition.fullName}/Version`,
      Buffer.alloc(1 << 20),
      {},
      {
        'grpc.default_compression_algorithm': algorithm,
      },
    );
same('a compressed request is UNIMPLEMENTED, and nothing of it is unpacked', [
  ['gzip', compressed(grpc.compressionAlgorithms.gzip)],
  ['deflate', compressed(grpc.compressionAlgorithms.deflate)],
]);

/** Methods of which containerd looks at something else first, or answers UNKNOWN. */
const OTHERWISE: ReadonlySet<string> = new Set(['Exec', 'Metrics']);
const withoutNamespace = [ContainersDefinition, LeasesDefinition, TasksDefinition].flatMap(({ fullName, methods }) =>
  Object.values(methods)
    .filter(({ name, responseStream }) => !responseStream && !OTHERWISE.has(name))
    .flatMap(({ name }) =>
      ['', '../x'].map((namespace): Case => [
        `${name} ${namespace}`,
        (side) =>
          rawCall(
            side.daemon.address,
            `/${fullName}/${name}`,
            new Uint8Array(),
            namespace === '' ? {} : { 'containerd-namespace': namespace },
          ),
      ]),
    ),
);
same('a call without a namespace, or with one that is none, is refused', [
  ...withoutNamespace,
  ['Publish', (side) => rawCall(side.daemon.address, `/${EventsDefinition.fullName}/Publish`, new Uint8Array())],
]);

// What is no task.

let count = 0;
interface Wrong {
  readonly change?: (spec: SpecDocument, side: Side) => void;
  readonly spec?: Any;
  readonly runtime?: (side: Side) => { readonly name: string; readonly options: Any | undefined };
  readonly task?: Partial<CreateTaskRequest>;
}
interface SpecDocument {
  root: { path: string };
  readonly [part: string]: unknown;
}

/** Makes a container that is wrong in one thing, and a task of it, which is refused. */
const task =
  ({ change, spec, runtime, task: request }: Wrong) =>
  async (side: Side): Promise<Outcome> => {
    const id = `c${(count += 1)}`;
    const client = side.daemon.client();
    try {
      const document = specOf(side, id);
      change?.(document, side);
      await client.service(ContainersDefinition).create({
        container: {
          ...EMPTY,
          id,
          runtime: runtime?.(side) ?? { name: 'io.containerd.runc.v2', options: undefined },
          spec: spec ?? json(jsonTypes.spec, JSON.stringify(document)),
        },
      });
      return await outcomeOf(side.tasks.create({ containerId: id, ...request }));
    } finally {
      client.close();
    }
  };

const specOf = ({ rootfs, daemon }: Side, id: string): SpecDocument => ({
  ociVersion: '1.0.2',
  process: { args: ['/bin/true'], cwd: '/', env: [], user: { uid: 0, gid: 0 } },
  root: { path: rootfs },
  linux: { cgroupsPath: `/${daemon.namespace}/${id}`, namespaces: [{ type: 'pid' }, { type: 'mount' }] },
});

const json = (typeUrl: string, text: string): Any => ({ typeUrl, value: Buffer.from(text) });
const spec = (text: string): Case[1] => task({ spec: json(jsonTypes.spec, text) });

sameCode('a Spec that is no JSON, or no Spec, is refused when a task is made of it', [
  ['nothing', spec(''), /^failed to start shim: spec is no JSON: /],
  ['no JSON', spec('{nope'), /^failed to start shim: spec is no JSON: /],
  ['an array', spec('[]'), /^failed to start shim: spec is no object$/],
  ['a number', spec('3'), /^failed to start shim: spec is no object$/],
  ['empty', spec('{}'), /process property must not be empty/],
  ['of wrong types', spec('{"ociVersion":"1.0.2","process":"x"}'), /cannot unmarshal string/],
  ['nested too deeply', spec(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`), /exceeded max depth/],
]);

const root = (path: string): Case[1] => task({ change: (document) => (document.root.path = path) });
const mount = (type: string, source: string): Case[1] =>
  task({
    change: (document) => (document.root.path = 'rootfs'),
    task: { rootfs: [{ type, source, target: '', options: type === 'bind' ? ['rbind'] : [] }] },
  });
sameCode('a root file system that is not there is refused', [
  ['no directory', root('/no/such/rootfs'), /stat \/no\/such\/rootfs: no such file or directory$/],
  ['a file', root('/etc/passwd'), /not a directory$/],
  [
    'a mount of nothing',
    mount('bind', '/no/such/source'),
    /"\/no\/such\/source" \(bind\): .*no such file or directory$/,
  ],
  ['a mount of no type', mount('nofs', 'x'), /"x" \(nofs\): .*no such device$/],
]);

/** A program of the side's own. */
const program = (side: Side, name: string, text: string, mode = 0o755): string => {
  const path = side.path(name);
  writeFileSync(path, text, { mode });
  return path;
};
const runtime = (name: string | ((side: Side) => string)): Case[1] =>
  task({ runtime: (side) => ({ name: typeof name === 'string' ? name : name(side), options: undefined }) });

same('a runtime that is not there, or fails, is refused', [
  ['not there', runtime('io.containerd.nope.v1')],
  ['no name', runtime('nope')],
  ['no such file', runtime('/no/such/shim')],
  ['exits 1', runtime((side) => program(side, 'shim-1', '#!/bin/sh\necho broken >&2\nexit 1\n'))],
]);
sameCode('a runtime that is none is refused', [
  [
    'nonsense',
    runtime((side) => program(side, 'shim-2', '#!/bin/sh\necho hello\n')),
    /shim said "hello", which is no address$/,
  ],
  ['nothing', runtime((side) => program(side, 'shim-3', '#!/bin/sh\n')), /shim said nothing, which is no address$/],
  ['no program', runtime((side) => program(side, 'shim-4', '#!/bin/sh\n', 0o644)), /shim-4 EACCES$/],
  ['a directory', runtime('/etc'), /EACCES$/],
  ['no path', runtime('io.containerd.../../x.v1'), /file does not exist$/],
]);

const runc = (name: (side: Side) => string): Case[1] =>
  task({
    runtime: (side) => ({
      name: 'io.containerd.runc.v2',
      options: {
        typeUrl: 'containerd.runc.v1.Options',
        value: Buffer.from(Options.encode(Options.create({ binaryName: name(side) })).finish()),
      },
    }),
  });
sameCode('an OCI runtime that is not there, fails or says nonsense is refused', [
  ['not there', runc(() => '/no/such/runc'), /OCI runtime create failed: .*\/no\/such\/runc/],
  [
    'exits 1',
    runc((side) => program(side, 'runc-1', '#!/bin/sh\nexit 1\n')),
    /did not terminate successfully: exit status 1$/,
  ],
  [
    'nonsense',
    runc((side) => program(side, 'runc-2', '#!/bin/sh\necho hello\n')),
    /failed to retrieve OCI runtime container pid/,
  ],
]);

const stdout = (path: string): Case[1] => task({ task: { stdout: path } });
sameCode('output to what cannot be opened is refused', [
  ['nothing', stdout('/no/such/dir/fifo'), /opening \/no\/such\/dir\/fifo failed/],
  ['a relative path', stdout('relative'), /opening relative failed/],
  ['a directory', stdout('/etc'), /opening \/etc failed/],
]);

// What Go's shim waits for, or dies of; and a disk that takes nothing.

const fails = (code: number, words: RegExp) => (error: Outcome) => {
  assert.equal(error.code, code, error.details);
  assert.match(error.details, words);
  return true;
};

test('an input that is not there is refused at once', async (t) => {
  const world = await TaskWorld.start(t);
  await world.createContainer('c', ['true']);
  const create = world.createTask('c', { stdin: '/no/such/fifo' });
  await assert.rejects(create, fails(codes.unknown, /opening \/no\/such\/fifo failed/));
  await world.assertNoLeaks();
});

test('an exec without a process, or of none, is refused, and the container and its shim live', async (t) => {
  const world = await TaskWorld.start(t);
  const pid = await world.run('c', ['sleep', '1000']);
  const shim = world.shimPid('c');
  const exec = (text: string) =>
    world.tasks.exec({ containerId: 'c', execId: 'x', spec: json(jsonTypes.process, text) });
  await assert.rejects(
    world.tasks.exec({ containerId: 'c', execId: 'x' }),
    fails(codes.invalidArgument, /is not JSON/),
  );
  await assert.rejects(exec('{nope'), fails(codes.invalidArgument, /process spec is not JSON/));
  await assert.rejects(exec('null'), fails(codes.invalidArgument, /process spec is no object/));
  await exec('{}');
  const start = world.tasks.start({ containerId: 'c', execId: 'x' });
  await assert.rejects(start, fails(codes.unknown, /Cwd property must not be empty/));
  await world.tasks.deleteProcess({ containerId: 'c', execId: 'x' });
  assert.equal(await world.exec('c', 'x', ['sh', '-c', 'exit 4']), 4);
  assert.deepEqual([(await world.tasks.get({ containerId: 'c' })).process?.pid, world.shimPid('c')], [pid, shim]);
  await world.remove('c');
  await world.assertNoLeaks();
});

test('a create on a full state directory is refused, leaves nothing, and works when there is room', async (t) => {
  const world = await TaskWorld.start(t, { stateBytes: 2 << 20 });
  await world.createContainer('c', ['sleep', '1000']);
  const filler = join(world.daemon.state, 'filler');
  fill(filler);
  await assert.rejects(world.createTask('c'), fails(codes.unknown, /no space left on device/i));
  const own = [`mount ${world.daemon.state}`, filler];
  const left = (): string[] => world.leaks().filter((leak) => !own.includes(leak));
  await eventually(() => left().length === 0).catch(() => assert.deepEqual(left(), []));
  rmSync(filler);
  await world.createTask('c');
  await world.remove('c');
});

test('a create where bundles cannot be written is refused, leaves nothing, and works when they can', async (t) => {
  const world = await TaskWorld.start(t);
  await world.createContainer('c', ['sleep', '1000']);
  await world.createTask('c');
  await world.tasks.delete({ containerId: 'c' });
  const bundles = join(world.daemon.state, 'io.containerd.runtime.v2.task');
  await must('mount', ['--bind', bundles, bundles]);
  await must('mount', ['-o', 'remount,bind,ro', bundles]);
  try {
    await assert.rejects(world.createTask('c'), fails(codes.unknown, /read-only file system/i));
  } finally {
    await must('umount', [bundles]);
  }
  await world.assertNoLeaks();
  await world.createTask('c');
  await world.remove('c');
  await world.assertNoLeaks();
});

const EMPTY = {
  labels: new Map<string, string>(),
  image: '',
  snapshotter: '',
  snapshotKey: '',
  createdAt: undefined,
  updatedAt: undefined,
  extensions: new Map<string, Any>(),
  sandbox: '',
};
