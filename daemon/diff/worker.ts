import { parentPort } from 'node:worker_threads';
import { canceled, codeOf, messageOf } from '../../common/errdefs.ts';
import { applyLayer } from './apply-layer.ts';
import type { FromWorker, Job, ToWorker } from './jobs.ts';
import { writeLayer } from './pack/write-layer.ts';

// A thread that unpacks and packs layers, one job at a time.

/** Pieces under way to the main thread. */
const PIECES_MAX = 4;

if (parentPort === null) throw new Error('this file runs as a worker');
const port = parentPort;

let untaken = 0;
let onTaken: (() => void) | undefined;

const post = (message: FromWorker, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);

/** Waits when the main thread, or the disk behind it, is slower than we are. */
const give = async (bytes: Buffer): Promise<void> => {
  const piece = new Uint8Array(bytes.length);
  piece.set(bytes);
  untaken += 1;
  post({ piece }, [piece.buffer]);
  if (untaken < PIECES_MAX) return;
  await new Promise<void>((resolve) => (onTaken = resolve));
};

const run = async (job: Job, cancel: Int32Array): Promise<void> => {
  const check = (): void => {
    if (Atomics.load(cancel, 0) !== 0) throw canceled(job.kind === 'apply' ? 'apply layer' : 'compare');
  };
  try {
    post({ result: job.kind === 'apply' ? await applyLayer(job, check) : await writeLayer(job, give, check) });
  } catch (error) {
    const stack = error instanceof Error ? (error.stack ?? '') : '';
    post({ error: { code: codeOf(error), message: messageOf(error), stack } });
  }
};

port.on('message', (message: ToWorker) => {
  if ('job' in message) {
    untaken = 0;
    onTaken = undefined;
    void run(message.job, message.cancel);
    return;
  }
  untaken -= 1;
  onTaken?.();
  onTaken = undefined;
});
