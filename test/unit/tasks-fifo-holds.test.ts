import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FifoHolds } from '../../daemon/tasks/fifo-holds.ts';
import { makeFifo, openFifo } from '../../native/index.ts';

const key = { namespace: 'n', id: 'c', execId: '' };

test('a FIFO has a reader as long as it is held, and none afterwards', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-holds-'));
  try {
    const path = join(folder, 'out');
    makeFifo(path, 0o600);
    const holds = new FifoHolds();
    const write = { write: true };
    assert.throws(() => openFifo(path, write), 'nobody reads');
    holds.hold(key, { stdin: '', stdout: path, stderr: `fifo://${path}`, terminal: false });
    closeSync(openFifo(path, write));
    holds.release(key);
    assert.throws(() => openFifo(path, write));
    assert.equal(holds.count, 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('what is no FIFO is left alone, and a terminal’s output is the shim’s to write', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-holds-'));
  try {
    const file = join(folder, 'file');
    const fifo = join(folder, 'fifo');
    writeFileSync(file, '');
    makeFifo(fifo, 0o600);
    const holds = new FifoHolds();
    holds.hold(key, { stdin: fifo, stdout: file, stderr: 'binary:///bin/true', terminal: false });
    holds.hold({ ...key, execId: 'x' }, { stdin: '', stdout: fifo, stderr: '', terminal: true });
    holds.hold({ ...key, execId: 'y' }, { stdin: '', stdout: join(folder, 'absent'), stderr: '', terminal: false });
    assert.equal(holds.count, 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
