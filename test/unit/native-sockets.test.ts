import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, existsSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { codes } from '../../common/errdefs.ts';
import {
  connectUnix,
  listenUnix,
  peerCredentials,
  pipe,
  readNow,
  sendDatagram,
  socketPair,
} from '../../native/index.ts';
import { isCloseOnExec, isErrno, openDescriptors } from './native-harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'holdfast-native-'));
after(() => rmSync(directory, { recursive: true }));

test('the peer of a socket is known', () => {
  const [left, right] = socketPair();
  const { uid, gid } = { uid: process.getuid?.(), gid: process.getgid?.() };
  assert.deepEqual(peerCredentials(left), { pid: process.pid, uid, gid });
  const file = pipe();
  assert.throws(() => peerCredentials(file.read), isErrno('ENOTSOCK', codes.unknown, 'getsockopt'));
  for (const fd of [left, right, file.read, file.write]) closeSync(fd);
});

test('a listening socket has exactly the mode it was asked for, whatever the umask, and the umask stays', () => {
  const umask = process.umask(0o027);
  try {
    for (const mode of [0o600, 0o660, 0o666, 0o700]) {
      const path = join(directory, `mode-${mode.toString(8)}`);
      const fd = listenUnix(path, { mode });
      assert.equal(lstatSync(path).mode & 0o7777, mode);
      assert.ok(isCloseOnExec(fd));
      closeSync(fd);
    }
    assert.equal(process.umask(), 0o027);
  } finally {
    process.umask(umask);
  }
});

test('Node serves a listening socket of ours, and we connect to it', async () => {
  const path = join(directory, 'served');
  const server = createServer((socket) => socket.end('welcome'));
  await new Promise<void>((resolve) => server.listen({ fd: listenUnix(path, { mode: 0o600 }) }, resolve));
  const text = await new Promise((resolve) => createConnection(path).once('data', (data) => resolve(String(data))));
  assert.equal(text, 'welcome');

  const fd = connectUnix(path);
  const buffer = Buffer.alloc(10);
  while (readNow(fd, buffer) === undefined) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(buffer.toString('utf8', 0, 7), 'welcome');
  assert.equal(peerCredentials(fd).pid, process.pid);
  closeSync(fd);
  await new Promise((resolve) => server.close(resolve));
});

test('a socket path in use is not taken over, and a socket path over 107 bytes is refused with that reason', () => {
  const before = openDescriptors();
  const path = join(directory, 'taken');
  writeFileSync(path, 'a file of somebody');
  assert.throws(() => listenUnix(path, { mode: 0o600 }), isErrno('EADDRINUSE', codes.alreadyExists, 'bind'));
  assert.ok(lstatSync(path).isFile());
  const fits = join(directory, 'x'.repeat(107 - directory.length - 1));
  closeSync(listenUnix(fits, { mode: 0o600 }));
  assert.ok(existsSync(fits));
  for (const call of [() => listenUnix(`${fits}x`, { mode: 0o600 }), () => connectUnix(`${fits}x`)]) {
    assert.throws(call, isErrno('ENAMETOOLONG', codes.invalidArgument));
    assert.throws(call, /a socket path may have 107 bytes/);
  }
  assert.deepEqual(openDescriptors(), before);
});

test('connecting says whether nobody is there, nobody listens, or too many wait', () => {
  const before = openDescriptors();
  const path = join(directory, 'queue');
  assert.throws(() => connectUnix(path), isErrno('ENOENT', codes.notFound, 'connect'));
  const listener = listenUnix(path, { mode: 0o600, backlog: 0 });
  const waiting = [connectUnix(path)];
  assert.throws(() => waiting.push(connectUnix(path)), isErrno('EAGAIN', codes.unavailable, 'connect'));
  closeSync(listener);
  assert.throws(() => connectUnix(path), isErrno('ECONNREFUSED', codes.unavailable, 'connect'));
  for (const fd of waiting) closeSync(fd);
  assert.deepEqual(openDescriptors(), before);
});

test('a listening socket is never abstract', () => {
  const cwd = process.cwd();
  process.chdir(directory);
  try {
    closeSync(listenUnix('@plain-file', { mode: 0o600 }));
    assert.ok(lstatSync('@plain-file').isSocket());
    assert.throws(() => listenUnix('', { mode: 0o600 }), isErrno('EINVAL', codes.invalidArgument));
    assert.throws(() => listenUnix('\0abstract', { mode: 0o600 }), isErrno('EINVAL', codes.invalidArgument));
  } finally {
    process.chdir(cwd);
  }
});

/** Node cannot bind a datagram socket, so Python does. It says when it listens, and then what it got. */
const listenForDatagram = (
  name: string,
): { readonly next: () => Promise<string>; readonly ended: Promise<unknown> } => {
  const program = `
import socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(sys.argv[1].replace("@", "\\0", 1))
print("listening", flush=True)
print(server.recv(100).decode(), flush=True)`;
  const child = spawn('/usr/bin/python3', ['-c', program, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    next: async () => String((await lines.next()).value),
    ended: new Promise((resolve) => child.once('exit', resolve)),
  };
};

test('a datagram reaches a socket by path and by abstract name, as systemd listens', async () => {
  for (const name of [join(directory, 'notify'), `@holdfast-native-${process.pid}`]) {
    const before = openDescriptors();
    assert.throws(
      () => sendDatagram(name, Buffer.from('x')),
      name.startsWith('@')
        ? isErrno('ECONNREFUSED', codes.unavailable, 'sendto')
        : isErrno('ENOENT', codes.notFound, 'sendto'),
    );
    assert.deepEqual(openDescriptors(), before);
    const listener = listenForDatagram(name);
    assert.equal(await listener.next(), 'listening');
    sendDatagram(name, Buffer.from('READY=1'));
    assert.equal(await listener.next(), 'READY=1');
    assert.equal(await listener.ended, 0);
  }
});
