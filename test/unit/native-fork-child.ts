// What native-fork.test.ts runs in a process of its own: `… TASK`. Prints a line of JSON for each process that reports.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { fork, pipe, Poller, readNow, reap, socketPair, writeNow } from '../../native/index.ts';

const report = (what: Record<string, unknown>): void => void writeSync(1, `${JSON.stringify(what)}\n`);

const reaped = async (pid: number): Promise<unknown> => {
  for (;;) {
    const ended = reap({ pid });
    if (ended !== undefined) return ended.exit;
    await sleep(2);
  }
};

/** Uses the thread pool, a child of libuv's, a signal and a poller. */
const useEverything = async (): Promise<Record<string, unknown>> => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-fork-'));
  writeFileSync(join(directory, 'file'), 'read in the thread pool');
  const read = await Promise.all([1, 2, 3, 4, 5].map(() => readFile(join(directory, 'file'), 'utf8')));
  const child = spawn('/bin/sh', ['-c', 'echo said; exit 3'], { stdio: ['ignore', 'pipe', 'ignore'] });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [status] = await once(child, 'close');
  const server = net.createServer((socket) => socket.end('served'));
  server.listen(join(directory, 'sock'));
  await once(server, 'listening');
  let served = '';
  for await (const chunk of net.connect(join(directory, 'sock'))) served += String(chunk);
  server.close();
  const caught = once(process, 'SIGUSR2');
  process.kill(process.pid, 'SIGUSR2');
  await caught;
  const { read: readEnd, write } = pipe({ nonblocking: true });
  const readable = Promise.withResolvers<void>();
  const poller = new Poller(readEnd, { readable: true }, () => readable.resolve());
  writeNow(write, Buffer.of(1));
  await readable.promise;
  poller.close();
  let garbage: object[] = [];
  for (let count = 0; count < 400_000; count += 1) garbage.push({ count });
  garbage = [];
  globalThis.gc?.();
  rmSync(directory, { recursive: true });
  return {
    read: new Set(read).size,
    said,
    status,
    served,
    hash: createHash('sha256').update('x').digest('hex').length,
  };
};

const tasks: Record<string, () => Promise<void>> = {
  works: async () => {
    await useEverything();
    await nextTurn();
    const pid = fork();
    const isChild = pid === 'child';
    const session = Number(readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ')[3]);
    const id = { pid: process.pid, real: Number(readlinkSync('/proc/self')), session };
    report({ isChild, ...id, ...(await useEverything()) });
    if (isChild) process.exit(7);
    report({ ended: await reaped(pid) });
  },
  // A watch of before the fork is there in both, and what one does to its own the other does not notice.
  pollers: async () => {
    const [ours, theirs] = socketPair('stream');
    const heard: string[] = [];
    const poller = new Poller(ours, { readable: true }, () => {
      const buffer = Buffer.alloc(10);
      const length = readNow(ours, buffer);
      if (length !== undefined) heard.push(buffer.toString('utf8', 0, length));
    });
    await nextTurn();
    const pid = fork();
    if (pid === 'child') {
      poller.close();
      await sleep(20);
      report({ isChild: true, heard });
      process.exit(0);
    }
    await reaped(pid);
    writeNow(theirs, Buffer.from('later'));
    while (heard.length === 0) await sleep(2);
    poller.close();
    report({ isChild: false, heard });
  },
  many: async () => {
    const pids: number[] = [];
    for (let count = 0; count < 30; count += 1) {
      await nextTurn();
      const pid = fork();
      if (pid === 'child') {
        await sleep(1);
        process.exit(count + 1);
      }
      pids.push(pid);
    }
    const ends = await Promise.all(pids.map(reaped));
    report({ ends });
  },
  throws: async () => {
    await nextTurn();
    const pid = fork();
    if (pid === 'child') throw new Error('nobody catches it');
    report({ ended: await reaped(pid) });
  },
};

await tasks[process.argv[2] ?? '']?.();
