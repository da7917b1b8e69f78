import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { shimPaths } from '../../common/bootstrap.ts';
import { readExitRecord } from '../../daemon/shims/exit-records.ts';
import { hasUnsentEvents } from '../../daemon/shims/outbox.ts';
import { ExitJournal } from '../../shim/journal.ts';
import { OutboxFile } from '../../shim/outbox-file.ts';

const withFolder = (body: (folder: string) => void): void => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-records-'));
  try {
    body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

test('the daemon reads the exit that a shim has written, and none where it has only made room', () =>
  withFolder((bundle) => {
    for (const execId of ['', 'x']) {
      const journal = ExitJournal.reserve(bundle, execId);
      assert.equal(readExitRecord(bundle, execId), undefined);
      journal.write({ id: 'c', execId, pid: 42, status: 137, exitedAt: 1_234_567_890_123_456_789n, sequence: 3n });
      assert.deepEqual(readExitRecord(bundle, execId), { pid: 42, status: 137, exitedAt: 1_234_567_890_123_456_789n });
      journal.close();
    }
    assert.equal(readExitRecord(bundle, 'other'), undefined);
    writeFileSync(join(bundle, 'exits/cut'), '{"pid":4');
    assert.equal(readExitRecord(bundle, 'cut'), undefined);
  }));

test('the daemon sees whether a shim has events that it has not acknowledged', () =>
  withFolder((state) => {
    assert.equal(hasUnsentEvents(state, 'k'), false, 'no outbox');
    const { outbox } = shimPaths(state, 'k');
    mkdirSync(dirname(outbox), { recursive: true });
    const file = new OutboxFile(outbox);
    assert.equal(hasUnsentEvents(state, 'k'), false, 'an empty one');
    const event = (sequence: bigint) =>
      file.append({ sequence, timestamp: 1n, topic: '/tasks/start', payload: { typeUrl: 't', value: Buffer.of(1) } });
    event(9n);
    event(10n);
    file.acknowledge(9n, false);
    assert.equal(hasUnsentEvents(state, 'k'), true, 'the second is not acknowledged');
    file.acknowledge(10n, true);
    assert.equal(hasUnsentEvents(state, 'k'), false);
    event(11n);
    assert.equal(hasUnsentEvents(state, 'k'), true);
    file.close();
  }));
