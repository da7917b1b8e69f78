import { rmSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { messageOf } from '../../common/errdefs.ts';
import { ErrnoError } from '../../native/index.ts';
import { copyTree } from './copy-tree.ts';
import { diskUsage } from './disk-usage.ts';
import type { DiskUsage, FileJob, FileReply } from './file-job.ts';

// A worker thread: does one job after another, and may be ended in the middle of one.

const perform = (job: FileJob): DiskUsage | undefined => {
  switch (job.verb) {
    case 'copy':
      copyTree(job.from, job.to);
      return undefined;
    case 'measure':
      return diskUsage(job.path);
    case 'remove':
      rmSync(job.path, { recursive: true, force: true });
      return undefined;
  }
};

const errnoOf = (error: unknown): string =>
  error instanceof ErrnoError ? error.errnoName : ((error as NodeJS.ErrnoException).code ?? '');

parentPort?.on('message', (job: FileJob) => {
  let reply: FileReply;
  try {
    reply = { usage: perform(job) };
  } catch (error) {
    reply = { error: messageOf(error), errno: errnoOf(error) };
  }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker's port has no origins
  parentPort?.postMessage(reply);
});
