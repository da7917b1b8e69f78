import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { StdioHolds } from '../../daemon/tasks/stdio-holds.ts';
import { makeFifo, openFifo, pipe, readNow, writeNow } from '../../native/index.ts';

const key = { namespace: 'n', id: 'c', execId: '' };
const nothing = { stdin: '', stdout: '', stderr: '', terminal: false };

const fifoIn = (t: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-holds-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'fifo');
  makeFifo(path, 0o600);
  return path;
};

test('an output FIFO has a reader as long as it is held, and none afterwards', (t) => {
  const path = fifoIn(t);
  const holds = new StdioHolds();
  assert.throws(() => openFifo(path, { write: true }), 'nobody reads');
  holds.hold(key, { ...nothing, stdout: path, stderr: `fifo://${path}` }, { input: true });
  closeSync(openFifo(path, { write: true }));
  holds.release(key);
  assert.throws(() => openFifo(path, { write: true }));
  assert.equal(holds.count, 0);
});

test('an input FIFO does not come to its end as long as it is held, unless the end was asked for', (t) => {
  const path = fifoIn(t);
  const read = openFifo(path, { read: true });
  const atEnd = (): boolean => readNow(read, Buffer.alloc(1)) === 0;
  const holds = new StdioHolds();
  holds.hold(key, { ...nothing, stdin: path }, { input: true });
  assert.equal(atEnd(), false);
  holds.closeInput(key);
  assert.equal(atEnd(), true);
  holds.hold(key, { ...nothing, stdin: path }, { input: false });
  assert.equal(atEnd(), true);
  holds.hold(key, { ...nothing, stdin: path }, { input: true });
  holds.release(key);
  assert.equal(atEnd(), true);
  assert.equal(holds.count, 0);
  closeSync(read);
});

test('what is kept of a shim stays until there is something newer, or the process is released', () => {
  const holds = new StdioHolds();
  const [first, second] = [pipe({ nonblocking: true }), pipe({ nonblocking: true })];
  const isOpen = (write: number): boolean => {
    try {
      return writeNow(write, Buffer.of(1)) === 1;
    } catch {
      return false; // nobody has the read end
    }
  };
  holds.keep(key, new Map([['stdout.source', first.read]]));
  assert.deepEqual([...holds.kept(key)], [['stdout.source', first.read]]);
  holds.keep(key, new Map([['stdout.source', second.read]]));
  assert.deepEqual([isOpen(first.write), isOpen(second.write), holds.count], [false, true, 1]);
  holds.release(key);
  assert.deepEqual([isOpen(second.write), holds.count, holds.kept(key).size], [false, 0, 0]);
  for (const fd of [first.write, second.write]) closeSync(fd);
});

test('what is no FIFO is left alone, and a terminal’s FIFOs are the shim’s', (t) => {
  const fifo = fifoIn(t);
  const file = `${fifo}.file`;
  writeFileSync(file, '');
  const holds = new StdioHolds();
  const input = { input: true };
  holds.hold(key, { stdin: file, stdout: file, stderr: 'binary:///bin/true', terminal: false }, input);
  holds.hold({ ...key, execId: 'x' }, { stdin: fifo, stdout: fifo, stderr: '', terminal: true }, input);
  holds.hold({ ...key, execId: 'y' }, { ...nothing, stdin: `${fifo}.absent`, stdout: `${fifo}.absent` }, input);
  assert.equal(holds.count, 0);
});
