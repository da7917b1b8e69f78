import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { codeOf, codes } from '../../common/errdefs.ts';
import { type Filter, parseFilters } from '../../common/filters.ts';
import type { Caller, Info, NewSnapshot, Snapshotter } from '../../daemon/snapshots/snapshotter.ts';
import { getXattr, makeFifo, makeNode, setTimes, setXattr } from '../../native/index.ts';
import type { Mount } from '../../proto/gen/containerd/types/types.ts';
import { mounted } from '../harness/snapshots.ts';

export interface SnapshotterSubject {
  readonly snapshotter: Snapshotter;
  /** For mount points. */
  readonly folder: string;
  /** Names of what there is on the disk, or in the other process for that namespace. */
  readonly kept: (namespace: string) => Promise<readonly string[]>;
}

const NOTHING: NewSnapshot = { parent: '', labels: new Map() };
const onto = (parent: string): NewSnapshot => ({ parent, labels: new Map() });

/** What every snapshotter promises (daemon/snapshots/snapshotter.ts); needs root. */
export const snapshotterContract = (name: string, open: () => Promise<SnapshotterSubject>): void =>
  void describe(name, () => {
    let subject: SnapshotterSubject;
    before(async () => void (subject = await open()));

    /** A namespace of its own for each test. */
    const promise = (text: string, check: (bench: Bench) => Promise<void>): void =>
      void test(text, { timeout: 60_000 }, () => check(new Bench(subject)));

    promise('what is written into one is in those that are built on it, and not the other way round', async (bench) => {
      await bench.layer('one', '', (place) => writeFileSync(join(place, 'a'), 'one'));
      await bench.layer('two', 'one', (place) => {
        assert.equal(readFileSync(join(place, 'a'), 'utf8'), 'one');
        writeFileSync(join(place, 'a'), 'two');
        writeFileSync(join(place, 'b'), 'two');
      });
      assert.deepEqual(await bench.files('one'), ['a=one']);
      assert.deepEqual(await bench.files('two'), ['a=two', 'b=two']);
    });

    promise('of many layers the last one that has a file is the one that shows', async (bench) => {
      const layers = ['l0', 'l1', 'l2', 'l3', 'l4'];
      for (const [index, layer] of layers.entries()) {
        await bench.layer(layer, layers[index - 1] ?? '', (place) => {
          writeFileSync(join(place, 'all'), layer);
          writeFileSync(join(place, `only-${layer}`), layer);
        });
      }
      assert.deepEqual(await bench.files('l4'), ['all=l4', ...layers.map((layer) => `only-${layer}=${layer}`)]);
      assert.deepEqual(await bench.files('l1'), ['all=l1', 'only-l0=l0', 'only-l1=l1']);
    });

    promise('what is deleted in one is gone in those built on it, a directory made anew is empty', async (bench) => {
      await bench.layer('one', '', (place) => {
        mkdirSync(join(place, 'd'));
        writeFileSync(join(place, 'd/inside'), '');
        writeFileSync(join(place, 'f'), '');
      });
      await bench.layer('two', 'one', (place) => {
        rmSync(join(place, 'f'));
        rmSync(join(place, 'd'), { recursive: true });
        mkdirSync(join(place, 'd'));
      });
      assert.deepEqual(await bench.look('two', (place) => readdirSync(place, { recursive: true })), ['d']);
      assert.deepEqual(
        await bench.look('one', (place) => (readdirSync(place, { recursive: true }) as string[]).toSorted()),
        ['d', 'd/inside', 'f'],
      );
    });

    promise('owners, modes, attributes, times, links, nodes and holes are those of the parent', async (bench) => {
      await bench.layer('one', '', makeHardFacts);
      const expected = await bench.look('one', hardFacts);
      assert.deepEqual(await bench.look('two', hardFacts, { writable: true, parent: 'one' }), expected);
      assert.equal(expected.linked, true);
      assert.ok(expected.sparseBytes < 1 << 20, `${expected.sparseBytes} bytes for a hole`);
    });

    promise('a root directory has the owner of the one it is built on', async (bench) => {
      await bench.layer('one', '', (place) => chownSync(place, 1234, 5678));
      const { uid, gid } = await bench.look('two', (place) => statSync(place), { writable: true, parent: 'one' });
      assert.deepEqual([uid, gid], [1234, 5678]);
    });

    promise('a view cannot be written, nor committed', async (bench) => {
      await bench.layer('one', '', () => undefined);
      for (const parent of ['', 'one']) {
        const mounts = await bench.view(`view of ${parent}`, onto(parent));
        await mounted(mounts, subject.folder, (place) => {
          assert.throws(() => writeFileSync(join(place, 'x'), ''), { code: 'EROFS' });
        });
        await bench.refused(codes.failedPrecondition, bench.commit('c', `view of ${parent}`));
      }
      assert.equal((await bench.stat('view of one')).kind, 'view');
    });

    promise('mounts can be asked for again', async (bench) => {
      await bench.layer('one', '', () => undefined);
      assert.deepEqual(await bench.prepare('a', onto('one')), await bench.mounts('a'));
      assert.deepEqual(await bench.view('v', onto('one')), await bench.mounts('v'));
    });

    promise('a snapshot is told of with its kind, parent, labels and times', async (bench) => {
      const labels = new Map([
        ['containerd.io/snapshot/x', 'inherited'],
        ['mine', 'kept'],
        ['empty', ''],
      ]);
      await bench.layer('base', '', () => undefined);
      await bench.prepare('a', { parent: 'base', labels });
      const active = await bench.stat('a');
      assert.deepEqual(
        [active.name, active.parent, active.kind, active.labels.get('mine'), active.labels.has('empty')],
        ['a', 'base', 'active', 'kept', false],
      );
      assert.equal(active.createdAt, active.updatedAt);
      await bench.commit('c', 'a', new Map([['other', '1']]));
      const committed = await bench.stat('c');
      assert.deepEqual([committed.name, committed.parent, committed.kind], ['c', 'base', 'committed']);
      assert.deepEqual([...committed.labels], [['other', '1']]);
      assert.ok(committed.createdAt > active.createdAt);
      await bench.refused(codes.notFound, bench.stat('a'));
    });

    promise('labels are updated one by one or all together, and nothing else is', async (bench) => {
      await bench.prepare('a', { parent: '', labels: new Map(Object.entries({ one: '1', two: '2' })) });
      const update = (labels: Record<string, string>, mask: string[]) =>
        bench.update({ name: 'a', labels: new Map(Object.entries(labels)) }, mask);
      const show = ({ labels }: Info): string[] => [...labels].map(([key, value]) => `${key}=${value}`).sort();
      assert.deepEqual(show(await update({ three: '3', one: 'no' }, ['labels.three'])), ['one=1', 'three=3', 'two=2']);
      assert.deepEqual(show(await update({ two: '' }, ['labels.two', 'labels.one'])), ['three=3']);
      assert.deepEqual(show(await update({ a: 'b' }, ['labels'])), ['a=b']);
      assert.deepEqual(show(await update({ c: 'd' }, [])), ['c=d']);
      for (const path of ['parent', 'kind', 'created', '']) {
        await bench.refused(codes.invalidArgument, update({}, [path]));
      }
      const { createdAt, updatedAt, labels } = await bench.stat('a');
      assert.ok(updatedAt > createdAt);
      assert.deepEqual([...labels], [['c', 'd']]);
      await bench.refused(codes.notFound, bench.update({ name: 'none', labels: new Map() }, []));
    });

    promise('the usage of an active one grows with it, and of a committed one stays', async (bench) => {
      const written = 3 << 20;
      const mounts = await bench.prepare('a', NOTHING);
      const empty = await bench.usage('a');
      await mounted(mounts, subject.folder, (place) => {
        mkdirSync(join(place, 'd'));
        writeFileSync(join(place, 'd/f'), Buffer.alloc(written, 1));
        linkSync(join(place, 'd/f'), join(place, 'd/g'));
      });
      const full = await bench.usage('a');
      assert.equal(full.inodes - empty.inodes, 2n, 'a file of two names is one inode');
      const grown = Number(full.size - empty.size);
      assert.ok(grown >= written && grown < written + 65_536, `grown by ${grown}`);
      await bench.commit('c', 'a');
      assert.deepEqual(await bench.usage('c'), full);
    });

    promise('a key is of one snapshot at a time, and of one namespace', async (bench) => {
      await bench.prepare('a', NOTHING);
      await bench.refused(codes.alreadyExists, bench.prepare('a', NOTHING));
      await bench.refused(codes.alreadyExists, bench.view('a', NOTHING));
      await bench.layer('c', '', () => undefined);
      await bench.refused(codes.alreadyExists, bench.commit('c', 'a'));
      await bench.refused(codes.alreadyExists, bench.commit('a', 'a'));
      const other = new Bench(subject);
      await other.prepare('a', NOTHING);
      await other.remove('a');
      assert.equal((await bench.stat('a')).kind, 'active');
      await bench.refused(codes.notFound, other.prepare('b', onto('c')));
    });

    promise('of many who ask for a key at once one gets it, and nothing of the others is left', async (bench) => {
      const asked = await Promise.allSettled(Array.from({ length: 8 }, () => bench.prepare('a', NOTHING)));
      assert.equal(asked.filter(({ status }) => status === 'fulfilled').length, 1);
      for (const one of asked) if (one.status === 'rejected') assert.equal(codeOf(one.reason), codes.alreadyExists);
      assert.deepEqual(await bench.names(), ['a']);
    });

    promise('what cannot be done is refused with the code that clients know', async (bench) => {
      await bench.layer('c', '', () => undefined);
      await bench.prepare('a', NOTHING);
      await bench.refused(codes.notFound, bench.prepare('x', onto('none')));
      await bench.refused(codes.invalidArgument, bench.prepare('x', onto('a')));
      await bench.refused(codes.notFound, bench.commit('x', 'none'));
      await bench.refused(codes.failedPrecondition, bench.commit('x', 'c'));
      await bench.refused(codes.failedPrecondition, bench.mounts('c'));
      for (const call of [bench.stat('x'), bench.mounts('x'), bench.usage('x'), bench.remove('x')]) {
        await bench.refused(codes.notFound, call);
      }
      const long = new Map([['k', 'x'.repeat(5000)]]);
      await bench.refused(codes.invalidArgument, bench.prepare('x', { parent: '', labels: long }));
      await bench.refused(codes.invalidArgument, bench.commit('x', 'a', long));
      assert.deepEqual(await bench.names(), ['a', 'c']);
    });

    promise('one that others are built on cannot be removed before them', async (bench) => {
      await bench.layer('one', '', () => undefined);
      await bench.layer('two', 'one', () => undefined);
      await bench.prepare('a', onto('two'));
      await bench.refused(codes.failedPrecondition, bench.remove('two'));
      await bench.refused(codes.failedPrecondition, bench.remove('one'));
      for (const key of ['a', 'two', 'one']) await bench.remove(key);
      assert.deepEqual(await bench.names(), []);
      // The name is free at once.
      await bench.layer('one', '', (place) => assert.deepEqual(readdirSync(place), []));
    });

    promise('a removed one leaves nothing on the disk once it has been cleaned up', async (bench) => {
      await subject.snapshotter.cleanup(AbortSignal.timeout(20_000)); // what other tests removed
      const before = await bench.kept();
      await bench.prepare('a', NOTHING);
      assert.equal((await bench.kept()).length, before.length + 1);
      await bench.remove('a');
      await subject.snapshotter.cleanup(AbortSignal.timeout(20_000));
      assert.deepEqual(await bench.kept(), before);
    });

    promise('a walk gives all of a namespace in the order of their keys, and the filter narrows it', async (bench) => {
      await bench.layer('base', '', () => undefined);
      const keys = Array.from({ length: 120 }, (_, index) => `k${String(index).padStart(3, '0')}`);
      for (const key of keys) await bench.view(key, { parent: '', labels: new Map([['n', key]]) });
      await bench.prepare('z', onto('base'));
      assert.deepEqual(await bench.names(), ['base', ...keys, 'z']);
      assert.deepEqual(await bench.names(['kind==active', 'kind==committed']), ['base', 'z']);
      assert.deepEqual(await bench.names(['parent==base']), ['z']);
      assert.deepEqual(await bench.names(['name~=^k00,kind==view']), keys.slice(0, 10));
      assert.deepEqual(await bench.names(['labels.n==k077']), ['k077']);
    });

    promise('keys may be any text', async (bench) => {
      const keys = ['/a/../b', 'with space', '..', '__proto__', 'ä☃', 'a'.repeat(300), 'sha256:00/x', "'; --"];
      for (const key of keys) await bench.prepare(key, NOTHING);
      assert.deepEqual((await bench.names()).sort(), keys.sort());
      for (const key of keys) await bench.remove(key);
    });
  });

/** A snapshotter and a namespace. */
class Bench {
  readonly #subject: SnapshotterSubject;
  readonly #caller: Caller = {
    namespace: `c-${randomBytes(4).toString('hex')}`,
    lease: undefined,
    signal: new AbortController().signal,
  };

  constructor(subject: SnapshotterSubject) {
    this.#subject = subject;
  }

  get #snapshotter(): Snapshotter {
    return this.#subject.snapshotter;
  }

  kept(): Promise<readonly string[]> {
    return this.#subject.kept(this.#caller.namespace);
  }

  prepare(key: string, snapshot: NewSnapshot): Promise<Mount[]> {
    return this.#snapshotter.prepare(this.#caller, key, snapshot);
  }

  view(key: string, snapshot: NewSnapshot): Promise<Mount[]> {
    return this.#snapshotter.view(this.#caller, key, snapshot);
  }

  commit(name: string, key: string, labels = new Map<string, string>()): Promise<void> {
    return this.#snapshotter.commit(this.#caller, name, key, labels);
  }

  stat(key: string): Promise<Info> {
    return this.#snapshotter.stat(this.#caller, key);
  }

  update(change: { name: string; labels: Map<string, string> }, mask: string[]): Promise<Info> {
    return this.#snapshotter.update(this.#caller, change, mask);
  }

  usage(key: string): Promise<{ size: bigint; inodes: bigint }> {
    return this.#snapshotter.usage(this.#caller, key);
  }

  mounts(key: string): Promise<Mount[]> {
    return this.#snapshotter.mounts(this.#caller, key);
  }

  remove(key: string): Promise<void> {
    return this.#snapshotter.remove(this.#caller, key);
  }

  /** Makes a committed snapshot that `write` has written. */
  async layer(name: string, parent: string, write: (place: string) => void): Promise<void> {
    const key = `extract ${name}`;
    await mounted(await this.prepare(key, onto(parent)), this.#subject.folder, write);
    await this.commit(name, key);
  }

  /** What is to be seen in a view of `name`, or in a new snapshot of that name. */
  async look<T>(name: string, see: (place: string) => T, how?: { writable: true; parent: string }): Promise<T> {
    const key = `look at ${name}`;
    const mounts = how === undefined ? await this.view(key, onto(name)) : await this.prepare(key, onto(how.parent));
    try {
      return await mounted(mounts, this.#subject.folder, see);
    } finally {
      await this.remove(key);
    }
  }

  files(name: string): Promise<string[]> {
    return this.look(name, (place) =>
      readdirSync(place)
        .sort()
        .map((file) => `${file}=${readFileSync(join(place, file), 'utf8')}`),
    );
  }

  async names(filters: string[] = []): Promise<string[]> {
    const filter: Filter = parseFilters(filters);
    const names: string[] = [];
    for await (const { name } of this.#snapshotter.walk(this.#caller, filter)) names.push(name);
    return names;
  }

  async refused(code: number, call: Promise<unknown>): Promise<void> {
    await assert.rejects(call, (error) => {
      assert.equal(codeOf(error), code, String(error));
      return true;
    });
  }
}

const OLD = { atime: 1_000_000_000_123_456_789n, mtime: 1_100_000_000_987_654_321n };
/** Bytes that are no text. */
const ODD_NAME = Buffer.from([0x66, 0xff, 0xfe]);
const HOLE_BYTES = 64 << 20;

const makeHardFacts = (place: string): void => {
  const at = (name: string): string => join(place, name);
  mkdirSync(at('dir'));
  writeFileSync(at('dir/setuid'), 'program');
  chownSync(at('dir/setuid'), 1000, 2000);
  chmodSync(at('dir/setuid'), 0o4751);
  setXattr(at('dir/setuid'), 'user.name', Buffer.from('value'));
  // CAP_NET_RAW, as setcap writes it: version 2, effective.
  const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
  writeFileSync(at('capable'), 'ping');
  setXattr(at('capable'), 'security.capability', capability);
  writeFileSync(at('first'), 'linked');
  linkSync(at('first'), at('dir/second'));
  symlinkSync('/nowhere', at('link'));
  lchownSync(at('link'), 7, 8);
  makeFifo(at('fifo'), 0o600);
  makeNode(at('null'), { mode: 0o020000 | 0o666, major: 1, minor: 3 });
  makeNode(at('block'), { mode: 0o060000 | 0o640, major: 259, minor: 300 });
  writeFileSync(Buffer.concat([Buffer.from(`${place}/`), ODD_NAME]), 'odd');
  writeFileSync(at('sparse'), 'begin');
  truncateSync(at('sparse'), HOLE_BYTES);
  chmodSync(at('dir'), 0o1770);
  for (const name of ['dir/setuid', 'link', 'sparse', 'null', 'dir']) setTimes(at(name), OLD, { noFollow: true });
};

const hardFacts = (place: string) => {
  const at = (name: string): string => join(place, name);
  // Modification times before anything is read; access times change by being looked at.
  const entries = ['dir', 'dir/setuid', 'dir/second', 'capable', 'first', 'link', 'fifo', 'null', 'block', 'sparse'];
  const stats = entries.map((name) => {
    const { mode, uid, gid, rdev, size, mtimeNs } = lstatSync(at(name), { bigint: true });
    return { name, mode: mode.toString(8), uid, gid, rdev, mtimeNs, size: name === 'dir' ? undefined : size };
  });
  return {
    stats,
    names: readdirSync(place, { encoding: 'buffer' })
      .map((name) => name.toString('hex'))
      .sort(),
    odd: readFileSync(Buffer.concat([Buffer.from(`${place}/`), ODD_NAME]), 'utf8'),
    target: readlinkSync(at('link')),
    attribute: getXattr(at('dir/setuid'), 'user.name')?.toString(),
    capability: getXattr(at('capable'), 'security.capability')?.toString('hex'),
    linked: statSync(at('first')).ino === statSync(at('dir/second')).ino,
    sparseBytes: statSync(at('sparse')).blocks * 512,
    sparse: readFileSync(at('sparse')).subarray(0, 5).toString(),
  };
};
