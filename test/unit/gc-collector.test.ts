import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import pino from 'pino';
import { Collector } from '../../daemon/gc/collector.ts';
import type { Collectable, Node } from '../../daemon/gc/nodes.ts';
import { type Database, openDatabase } from '../../daemon/store/database.ts';

const log = pino({ level: 'silent' });

/** Rows of a test, as few columns as there can be, and a collector that removes them. */
class Rows {
  readonly db: Database;
  readonly collector: Collector;
  settled = 0;

  readonly #insertContent;
  readonly #insertLabel;

  private constructor(db: Database) {
    this.db = db;
    this.#insertContent = db.sql.prepare('INSERT INTO content VALUES (?, ?, 1, 0, 0)');
    this.#insertLabel = db.sql.prepare('INSERT INTO content_labels VALUES (?, ?, ?, ?)');
    const byKey = (sql: string) => {
      const statement = db.sql.prepare(sql);
      return (node: Node) => void statement.run(node.namespace, node.key);
    };
    const remove: Record<Collectable, (node: Node) => void> = {
      lease: byKey('DELETE FROM leases WHERE namespace = ? AND id = ?'),
      image: byKey('DELETE FROM images WHERE namespace = ? AND name = ?'),
      ingest: byKey('DELETE FROM ingests WHERE namespace = ? AND ref = ?'),
      content: byKey('DELETE FROM content WHERE namespace = ? AND digest = ?'),
      snapshot: byKey(`DELETE FROM snapshots WHERE namespace = ? AND snapshotter || '/' || key = ?`),
    };
    this.collector = new Collector({ db, log, remove, settle: async () => (this.settled += 1) });
  }

  static async open(t: TestContext): Promise<Rows> {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-gc-'));
    const db = await openDatabase(join(folder, 'metadata.db'), log);
    const rows = new Rows(db);
    t.after(async () => {
      await rows.collector.close();
      await db.close();
      rmSync(folder, { recursive: true });
    });
    for (const name of ['n', 'm']) db.sql.prepare('INSERT INTO namespaces VALUES (?)').run(name);
    return rows;
  }

  content(digest: string, labels: Record<string, string> = {}, namespace = 'n'): void {
    this.#insertContent.run(namespace, digest);
    for (const [key, value] of Object.entries(labels)) this.#insertLabel.run(namespace, digest, key, value);
  }

  image(name: string, digest: string, labels: Record<string, string> = {}): void {
    this.db.sql.prepare(`INSERT INTO images VALUES ('n', ?, ?, '', 1, 0, 0)`).run(name, digest);
    for (const [key, value] of Object.entries(labels)) {
      this.db.sql.prepare(`INSERT INTO image_labels VALUES ('n', ?, ?, ?)`).run(name, key, value);
    }
  }

  snapshot(id: number, key: string, parent: number | null = null, labels: Record<string, string> = {}): void {
    const kind = parent === null ? 'committed' : 'active';
    this.db.sql
      .prepare(`INSERT INTO snapshots VALUES (?, 'n', 'overlayfs', ?, ?, ?, '', 0, 0, 0, 0)`)
      .run(id, key, parent, kind);
    for (const [label, value] of Object.entries(labels)) {
      this.db.sql.prepare('INSERT INTO snapshot_labels VALUES (?, ?, ?)').run(id, label, value);
    }
  }

  lease(id: string, labels: Record<string, string>, resources: readonly (readonly [type: string, id: string])[]): void {
    this.db.sql.prepare(`INSERT INTO leases VALUES ('n', ?, 0)`).run(id);
    for (const [key, value] of Object.entries(labels)) {
      this.db.sql.prepare(`INSERT INTO lease_labels VALUES ('n', ?, ?, ?)`).run(id, key, value);
    }
    for (const [type, name] of resources) {
      this.db.sql.prepare(`INSERT INTO lease_resources VALUES ('n', ?, ?, ?)`).run(id, type, name);
    }
  }

  container(id: string, snapshot: string): void {
    this.db.sql
      .prepare(`INSERT INTO containers VALUES ('n', ?, '', '', NULL, NULL, '', x'', 'overlayfs', ?, '', 0, 0)`)
      .run(id, snapshot);
  }

  /** Everything that is there, by kind and name. */
  get all(): string[] {
    const names = (sql: string): string[] => this.db.sql.prepare<[], string>(sql).pluck().all();
    return [
      ...names(`SELECT 'content ' || digest FROM content WHERE namespace = 'n'`),
      ...names(`SELECT 'image ' || name FROM images`),
      ...names(`SELECT 'ingest ' || ref FROM ingests`),
      ...names(`SELECT 'lease ' || id FROM leases`),
      ...names(`SELECT 'snapshot ' || key FROM snapshots`),
    ].sort();
  }
}

test('what an image, a container, a lease or a root label leads to is kept, and all else goes', async (t) => {
  const rows = await Rows.open(t);
  rows.content('manifest', {
    'containerd.io/gc.ref.content.config': 'config',
    'containerd.io/gc.ref.content.l.0': 'layer',
  });
  rows.content('config', { 'containerd.io/gc.ref.snapshot.overlayfs': 'chain' });
  rows.content('layer');
  rows.content('stray', { 'containerd.io/gc.ref.content.0': 'led-to-by-a-stray' });
  rows.content('led-to-by-a-stray');
  rows.content('rooted', { 'containerd.io/gc.root': 'yes' });
  rows.content('leased');
  rows.image('x', 'manifest');
  rows.snapshot(1, 'base');
  rows.snapshot(2, 'chain', 1);
  rows.snapshot(3, 'of-container', 1);
  rows.snapshot(4, 'nobodys', 1);
  rows.container('c', 'of-container');
  rows.lease('l', {}, [['content', 'leased']]);
  assert.deepEqual((await rows.collector.plan()).map(({ kind, key }) => `${kind} ${key}`).sort(), [
    'content led-to-by-a-stray',
    'content stray',
    'snapshot overlayfs/nobodys',
  ]);
  const before = rows.all;
  await rows.collector.collect();
  const gone = ['content led-to-by-a-stray', 'content stray', 'snapshot nobodys'];
  assert.deepEqual(
    rows.all,
    before.filter((name) => !gone.includes(name)),
  );
  assert.ok(rows.settled > 0);
});

test('a lease that has expired goes with what only it kept; a flat one keeps what it names and parents', async (t) => {
  const rows = await Rows.open(t);
  rows.content('named', { 'containerd.io/gc.ref.content.0': 'behind' });
  rows.content('behind');
  rows.content('of-expired');
  rows.snapshot(1, 'parent', null, { 'containerd.io/gc.ref.content.0': 'behind-parent' });
  rows.content('behind-parent');
  rows.snapshot(2, 'child', 1);
  rows.lease('flat', { 'containerd.io/gc.flat': '1' }, [
    ['content', 'named'],
    ['snapshots/overlayfs', 'child'],
  ]);
  rows.lease('old', { 'containerd.io/gc.expire': '2020-01-01T00:00:00Z' }, [['content', 'of-expired']]);
  rows.image('old', 'of-expired', { 'containerd.io/gc.expire': '2020-01-01T00:00:00Z' });
  await rows.collector.collect();
  assert.deepEqual(rows.all, ['content named', 'lease flat', 'snapshot child', 'snapshot parent']);
});

test('a label that refers back keeps its bearer as long as what it names is kept', async (t) => {
  const rows = await Rows.open(t);
  rows.content('subject');
  rows.content('signature', { 'containerd.io/gc.bref.content': 'subject' });
  rows.content('orphan', { 'containerd.io/gc.bref.content': 'nothing' });
  rows.image('x', 'subject');
  await rows.collector.collect();
  assert.deepEqual(rows.all, ['content signature', 'content subject', 'image x']);
});

test('namespaces keep nothing for each other', async (t) => {
  const rows = await Rows.open(t);
  rows.content('blob', {}, 'm');
  rows.content('blob');
  rows.image('x', 'blob');
  const { removed } = await rows.collector.collect();
  assert.deepEqual(removed, [{ kind: 'content', namespace: 'm', key: 'blob' }]);
});

test('what is written while a collection goes on is kept, with all that it refers to', async (t) => {
  const rows = await Rows.open(t);
  for (let index = 0; index < 3_000; index += 1) rows.content(`old-${index}`);
  const collection = rows.collector.collect();
  let written = 0;
  const write = setInterval(() => {
    rows.db.transaction(() => rows.image(`new-${written}`, `old-${2_999 - written}`));
    written += 1;
  }, 0);
  const { removed } = await collection;
  clearInterval(write);
  const left = new Set(rows.all);
  const early = removed.length;
  assert.ok(written > 0 && early > 0);
  const images = rows.db.sql.prepare<[], string>('SELECT digest FROM images').pluck().all();
  const lost = new Set(removed.map(({ key }) => key));
  // One that was gone before its image was made is its maker's fault: it is white, and nothing led to it.
  for (const digest of images) assert.ok(left.has(`content ${digest}`) || lost.has(digest), digest);
  await rows.collector.collect();
  const kept = new Set(rows.all);
  for (const digest of images) if (!lost.has(digest)) assert.ok(kept.has(`content ${digest}`), digest);
});

test('a collection that is asked for while one goes on begins after it, once for all who ask', async (t) => {
  const rows = await Rows.open(t);
  const first = rows.collector.collect();
  const [second, third] = [rows.collector.collect(), rows.collector.collect()];
  assert.equal(second, third);
  await first;
  rows.content('late');
  const { removed } = await second;
  assert.equal(removed.length, 1);
});

test('the collection that comes by itself after a start leaves alone what was made since', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-gc-'));
  const db = await openDatabase(join(folder, 'metadata.db'), log);
  db.sql.exec(`INSERT INTO namespaces VALUES ('n'); INSERT INTO content VALUES ('n', 'old', 1, 0, 0)`);
  const { promise: settled, resolve } = Promise.withResolvers<void>();
  const byDigest = db.sql.prepare('DELETE FROM content WHERE namespace = ? AND digest = ?');
  const none = (): void => assert.fail('there is only content');
  const content = ({ namespace, key }: Node): void => void byDigest.run(namespace, key);
  const remove = { lease: none, image: none, ingest: none, snapshot: none, content };
  const collector = new Collector({ db, log, remove, settle: async () => resolve() });
  t.after(async () => {
    await collector.close();
    await db.close();
    rmSync(folder, { recursive: true });
  });
  db.sql.exec(`INSERT INTO content VALUES ('n', 'new', 1, 0, 0)`);
  await settled;
  assert.deepEqual(db.sql.prepare<[], string>('SELECT digest FROM content').pluck().all(), ['new']);
});

test('10,000 blobs are looked through without keeping anybody waiting for long', async (t) => {
  const rows = await Rows.open(t);
  rows.db.transaction(() => {
    for (let index = 0; index < 10_000; index += 1) {
      rows.content(
        `c${index}`,
        index % 10 === 0 ? { 'containerd.io/gc.root': '' } : { 'containerd.io/gc.ref.content.0': `c${index + 1}` },
      );
    }
  });
  // By our own time on a core, so that what else the machine does is not counted.
  const used = (): number => process.cpuUsage().user / 1_000;
  let longest = 0;
  let last = used();
  const look = setInterval(() => {
    longest = Math.max(longest, used() - last);
    last = used();
  }, 1);
  const { removed, kept } = await rows.collector.collect();
  clearInterval(look);
  assert.deepEqual([removed.length, kept], [9_000, 1_000]);
  assert.ok(longest < 50, `${longest} ms`);
});
