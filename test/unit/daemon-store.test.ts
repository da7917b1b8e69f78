import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import test from 'node:test';
import BetterSqlite3 from 'better-sqlite3';
import { openDatabase } from '../../daemon/store/database.ts';
import { GroupedSync } from '../../daemon/store/grouped-sync.ts';
import { silent, testStore } from './daemon-harness.ts';

test('a transaction that throws leaves nothing, and a nested one takes only its own part back', async () => {
  await using store = await testStore();
  const { db } = store;
  db.sql.exec('CREATE TABLE t (a INTEGER) STRICT');
  const add = db.sql.prepare('INSERT INTO t VALUES (?)');
  assert.throws(() =>
    db.transaction(() => {
      add.run(1);
      throw new Error('no');
    }),
  );
  db.transaction(() => {
    add.run(2);
    assert.throws(() =>
      db.transaction(() => {
        add.run(3);
        throw new Error('no');
      }),
    );
    add.run(4);
  });
  assert.deepEqual(db.sql.prepare('SELECT a FROM t').pluck().all(), [2n, 4n]);
});

test('a transaction refuses an async body, and takes back what it wrote', async () => {
  await using store = await testStore();
  const { db } = store;
  db.sql.exec('CREATE TABLE t (a INTEGER) STRICT');
  const body = async (): Promise<void> => {
    db.sql.exec('INSERT INTO t VALUES (1)');
    await Promise.resolve();
  };
  assert.throws(() => db.transaction(body), /async/);
  assert.equal(db.sql.prepare('SELECT count(*) FROM t').pluck().get(), 0n);
});

test('nanosecond times come back exactly', async () => {
  await using store = await testStore();
  assert.equal(store.db.sql.prepare('SELECT ?').pluck().get(1_763_996_123_456_789_123n), 1_763_996_123_456_789_123n);
});

test('a thousand who wait for the disk share few syncs, and each sync begins after the call', async () => {
  await using store = await testStore();
  const syncs: number[] = [];
  const sync = await GroupedSync.open(`${store.path}-wal`, async () => {
    const began = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 5));
    syncs.push(began);
  });
  const first = sync.run();
  const calledAt = performance.now();
  await Promise.all([first, ...Array.from({ length: 1000 }, () => sync.run())]);
  assert.equal(syncs.length, 2);
  assert.ok((syncs[1] ?? 0) >= calledAt);
  await sync.close();
});

test('once a sync has failed nobody is told any more that something is on the disk', async () => {
  await using store = await testStore();
  let calls = 0;
  const sync = await GroupedSync.open(`${store.path}-wal`, () => {
    calls += 1;
    return calls === 1 ? Promise.reject(new Error('EIO')) : Promise.resolve();
  });
  await assert.rejects(sync.run(), { code: 15, message: 'metadata not on disk: EIO' });
  await assert.rejects(sync.run(), { code: 15 });
  assert.equal(calls, 1);
  await sync.close();
});

test('the log is moved into the database in the background, and all is there after opening again', async () => {
  await using store = await testStore();
  const { db, path } = store;
  db.sql.exec('CREATE TABLE t (a BLOB) STRICT');
  const add = db.sql.prepare('INSERT INTO t VALUES (?)');
  const logBytes = (): number => statSync(`${path}-wal`).size;
  let rounds = 0;
  const write = async (pauseMs: number): Promise<void> => {
    db.transaction(() => add.run(Buffer.alloc(1 << 19, rounds)));
    rounds += 1;
    await db.durable();
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  };
  for (let count = 0; count < 40; count += 1) await write(20);
  // A checkpoint is complete only if nothing is written meanwhile: with pauses as long as the slowest disk needs, one is.
  for (const giveUpAt = performance.now() + 30_000; logBytes() > 2 << 20; await write(250)) {
    assert.ok(performance.now() < giveUpAt, `the log stays at ${logBytes()} bytes`);
  }
  const other = new BetterSqlite3(path, { readonly: true });
  assert.equal(other.prepare('SELECT count(*) FROM t').pluck().get(), rounds);
  other.close();
});

test('metadata of a newer version is refused, not touched', async () => {
  await using store = await testStore();
  store.db.sql.pragma('user_version = 9999');
  await assert.rejects(openDatabase(store.path, silent), { code: 9, message: /newer version \(schema 9999\)/ });
});
