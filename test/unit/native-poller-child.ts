// What native-poller.test.ts runs in a process or a worker of its own.
import { parentPort } from 'node:worker_threads';
import { eventfd, pipe, Poller } from '../../native/index.ts';

const readable = { readable: true } as const;

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker's port has no origin
const ready = (): void => parentPort?.postMessage('ready');

/** Never closed: what is tested is the end of whoever has it. */
const held: Poller[] = [];

const throwOnce = (): void => {
  let calls = 0;
  const poller = new Poller(eventfd(1), readable, () => {
    calls += 1;
    if (calls === 1) throw new Error('thrown on purpose');
    console.log('and on');
    poller.close();
  });
};

const tasks: Record<string, () => void> = {
  throw: () => {
    process.on('uncaughtException', (error) => console.log(`uncaught: ${error.message}`));
    throwOnce();
  },
  'throw-unhandled': throwOnce,
  references: () => {
    const silent = new Poller(pipe().read, readable, () => undefined);
    silent.unref();
    const event = new Poller(eventfd(1), readable, () => {
      console.log('event');
      event.close();
    });
    event.unref();
    event.ref();
    process.on('exit', () => console.log('ended by itself'));
  },
  'worker-wait': () => {
    held.push(new Poller(pipe().read, readable, () => undefined));
    ready();
  },
  'worker-spin': () => {
    held.push(
      new Poller(eventfd(1), readable, () => {
        ready();
        for (;;);
      }),
    );
  },
  'worker-exit': () => {
    held.push(
      new Poller(eventfd(1), readable, () => {
        ready();
        process.exit(0);
      }),
    );
  },
};

tasks[process.argv[2] ?? '']?.();
