import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { codes } from '../../common/errdefs.ts';
import {
  eventfd,
  inotify,
  inotifyAdd,
  inotifyFlags,
  makeFifo,
  openFifo,
  openTerminal,
  pipe,
  Poller,
  pollFlags,
  readNow,
  setNonblocking,
  socketPair,
  writeNow,
} from '../../native/index.ts';
import { flagsOf, isErrno, openDescriptors } from './native-harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'holdfast-native-'));
after(() => rmSync(directory, { recursive: true }));

/** The flags of the next event; the poller is closed by then. */
const nextEvent = (fd: number, events: { readable?: boolean; writable?: boolean }): Promise<number> => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const poller = new Poller(fd, events, (revents) => {
    poller.close();
    resolve(revents);
  });
  return promise;
};

const readable = { readable: true } as const;
const writable = { writable: true } as const;

test('pipes, sockets, terminals, eventfds and inotify all report that they are readable', async () => {
  const { read, write } = pipe({ nonblocking: true });
  const [left, right] = socketPair();
  const { master, replica } = openTerminal();
  setNonblocking(replica, true);
  const counter = eventfd(1);
  const changes = inotify();
  inotifyAdd(changes, directory, inotifyFlags.create);
  writeFileSync(join(directory, 'new'), '');
  for (const fd of [write, left, replica]) writeNow(fd, Buffer.from('x'));
  const fds = [read, right, master, counter, changes];

  assert.deepEqual(
    await Promise.all(fds.map((fd) => nextEvent(fd, readable))),
    fds.map(() => pollFlags.in),
  );
  for (const fd of [...fds, write, left, replica]) closeSync(fd);
});

test('an event is repeated until its cause is gone', async () => {
  const { read, write } = pipe({ nonblocking: true });
  let calls = 0;
  const poller = new Poller(read, readable, () => {
    calls += 1;
    if (calls === 5) readNow(read, Buffer.alloc(8));
  });
  await nextTurn();
  assert.equal(calls, 0);
  writeNow(write, Buffer.from('x'));
  await sleep(30);
  assert.equal(calls, 5);
  poller.close();
  closeSync(read);
  closeSync(write);
});

test('the end of a FIFO is a hang-up, as often as is asked', async () => {
  const path = join(directory, 'fifo');
  makeFifo(path, 0o600);
  const read = openFifo(path, { read: true });
  const write = openFifo(path, { write: true });
  closeSync(write);
  assert.equal(await nextEvent(read, readable), pollFlags.hup);
  assert.equal(await nextEvent(read, {}), pollFlags.hup);
  const again = openFifo(path, { write: true });
  writeNow(again, Buffer.from('x'));
  assert.equal(await nextEvent(read, readable), pollFlags.in);
  closeSync(again);
  closeSync(read);
});

test('a write end without a reader is an error on every turn, also for who asks for nothing else', async () => {
  const { read, write } = pipe();
  let calls = 0;
  const poller = new Poller(write, {}, (revents) => {
    assert.equal(revents, pollFlags.err);
    calls += 1;
    if (calls === 3) poller.close();
  });
  await sleep(10);
  assert.equal(calls, 0);
  closeSync(read);
  await sleep(30);
  assert.equal(calls, 3);
  assert.equal(await nextEvent(write, writable), pollFlags.out | pollFlags.err);
  closeSync(write);
});

test('a socket whose peer only stopped sending is told to who asks for hang-ups', async () => {
  const [left, right] = socketPair();
  closeSync(left);
  assert.equal((await nextEvent(right, {})) & pollFlags.rdhup, pollFlags.rdhup);
  closeSync(right);
});

test('the caller may close the descriptor, and even re-use its number, while it is watched', async () => {
  const { read, write } = pipe();
  const event = nextEvent(read, readable);
  closeSync(read);
  const other = openSync('/dev/null', 'r');
  closeSync(write);
  assert.equal(await event, pollFlags.hup);
  closeSync(other);
});

test('two pollers of one descriptor both hear of it', async () => {
  const { read, write } = pipe();
  closeSync(write);
  assert.deepEqual(await Promise.all([nextEvent(read, readable), nextEvent(read, readable)]), [
    pollFlags.hup,
    pollFlags.hup,
  ]);
  closeSync(read);
});

test('a poller that is closed by another one on the same turn is not called', async () => {
  const { read, write } = pipe();
  closeSync(write);
  let calls = 0;
  const pollers = [1, 2, 3].map(
    () =>
      new Poller(read, readable, () => {
        calls += 1;
        for (const poller of pollers) poller.close();
      }),
  );
  await sleep(20);
  assert.equal(calls, 1);
  closeSync(read);
});

test('watching leaves the flags of the open file alone: others share it', async () => {
  const { read, write } = pipe();
  const before = flagsOf(read);
  using _poller = new Poller(read, readable, () => undefined);
  await nextTurn();
  assert.equal(flagsOf(read), before);
  closeSync(read);
  closeSync(write);
});

test('a regular file is always ready and cannot be watched; a descriptor that is none neither', () => {
  const file = openSync(join(directory, 'file'), 'w');
  const before = openDescriptors();
  assert.throws(
    () => new Poller(file, readable, () => undefined),
    isErrno('EPERM', codes.permissionDenied, 'epoll_ctl'),
  );
  assert.throws(() => new Poller(999_999, readable, () => undefined), isErrno('EBADF', codes.invalidArgument, 'fcntl'));
  assert.deepEqual(openDescriptors(), before);
  closeSync(file);
});

test('a thousand pollers leave no descriptor behind', async () => {
  const { read, write } = pipe();
  const before = openDescriptors();
  for (let round = 0; round < 10; round += 1) {
    const pollers = Array.from({ length: 100 }, () => new Poller(read, readable, () => undefined));
    await nextTurn();
    for (const poller of pollers) poller.close();
    pollers[0]?.close();
  }
  assert.deepEqual(openDescriptors(), before);
  closeSync(read);
  closeSync(write);
});

test('microtasks of one event run before the next event', async () => {
  const [first, second] = [eventfd(1), eventfd(1)];
  const order: string[] = [];
  const watch = (fd: number, name: string): Poller => {
    const poller = new Poller(fd, readable, () => {
      poller.close();
      order.push(name);
      void Promise.resolve().then(() => order.push(`after ${name}`));
    });
    return poller;
  };
  watch(first, 'first');
  watch(second, 'second');
  await sleep(20);
  assert.deepEqual(order, ['first', 'after first', 'second', 'after second']);
  closeSync(first);
  closeSync(second);
});

const program = new URL('./native-poller-child.ts', import.meta.url).pathname;
const run = (task: string): ReturnType<typeof spawnSync> =>
  spawnSync(process.execPath, [program, task], { encoding: 'utf8', timeout: 20_000 });

test('what a callback throws is an uncaught exception, and later events still come', () => {
  const { stdout, status } = run('throw');
  assert.equal(stdout, 'uncaught: thrown on purpose\nand on\n');
  assert.equal(status, 0);
});

test('without a handler it ends the process as any exception does', () => {
  const { stderr, status } = run('throw-unhandled');
  assert.match(String(stderr), /Error: thrown on purpose/);
  assert.equal(status, 1);
});

test('a poller keeps the process going only while it is referenced', () => {
  const { stdout, status } = run('references');
  assert.equal(stdout, 'event\nended by itself\n');
  assert.equal(status, 0);
});

test('a worker may end while its pollers wait or are in a callback', async () => {
  for (const task of ['wait', 'spin', 'exit']) {
    const worker = new Worker(program, { argv: [`worker-${task}`] });
    // Both at once: a worker that ends hands over its last message and its end together.
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    await new Promise((resolve) => worker.once('message', resolve));
    if (task !== 'exit') await worker.terminate();
    await exited;
  }
  const { read, write } = pipe();
  closeSync(write);
  assert.equal(await nextEvent(read, readable), pollFlags.hup);
  closeSync(read);
});
