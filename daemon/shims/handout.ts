import { closeSync } from 'node:fs';
import { deadlineExceeded } from '../../common/errdefs.ts';
import { connectUnix, MESSAGE_FDS_MAX, Poller, receiveDescriptors } from '../../native/index.ts';

/** Names in one message, bytes. */
const MESSAGE_BYTES_MAX = 1 << 20;

/**
 * Copies of what a shim hands out (ShimPaths.handout), by name; they pass into the caller's hands. Rejects with
 * NotFound or Unavailable if nobody listens at `path`, with DeadlineExceeded after `timeoutMs`.
 */
export const collectHandout = async (path: string, timeoutMs: number): Promise<ReadonlyMap<string, number>> => {
  const socket = connectUnix(path);
  const fds: number[] = [];
  try {
    const text = await receiveAll(socket, fds, timeoutMs);
    const names = text.split('\n').flatMap((line): string[] => (line === '' ? [] : JSON.parse(line)));
    if (names.length !== fds.length) throw new TypeError(`${names.length} names came with ${fds.length} descriptors`);
    return new Map(names.map((name, index) => [name, fds[index] ?? -1]));
  } catch (error) {
    for (const fd of fds) closeSync(fd);
    throw error;
  } finally {
    closeSync(socket);
  }
};

/** The text that comes until the end of the stream; descriptors go to `fds` as they come. */
const receiveAll = async (socket: number, fds: number[], timeoutMs: number): Promise<string> => {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const chunks: Buffer[] = [];
  const timer = setTimeout(() => reject(deadlineExceeded('descriptors of a shim')), timeoutMs);
  using _poller = new Poller(socket, { readable: true }, () => {
    try {
      const message = receiveDescriptors(socket, MESSAGE_BYTES_MAX, MESSAGE_FDS_MAX);
      if (message === undefined) return;
      fds.push(...message.fds);
      if (message.data.length === 0) resolve(Buffer.concat(chunks).toString('utf8'));
      else chunks.push(message.data);
    } catch (error) {
      reject(error);
    }
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
};
