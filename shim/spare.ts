import { closeSync, writeFileSync } from 'node:fs';
import {
  type BindHello,
  type BindReply,
  type BindRequest,
  SHIM_BINARY,
  shimHash,
  shimPaths,
} from '../common/bootstrap.ts';
import { codeOf, invalidArgument, messageOf } from '../common/errdefs.ts';
import { MESSAGE_FDS_MAX, Poller, receiveDescriptors, setNonblocking, writeNow } from '../native/index.ts';
import { joinCgroup } from './cgroup/paths.ts';
import { newLedger, readLedger } from './ledger.ts';
import { type Descriptors, resume } from './resume.ts';

/** Longest request line, bytes. */
const REQUEST_BYTES_MAX = 1 << 20;

/** Waits on its control socket to be told whom to serve, and serves from then on. End of file before that: ends. */
export const runSpare = async (controlFd: number): Promise<void> => {
  setNonblocking(controlFd, true);
  answer(controlFd, { pid: process.pid });
  const request = await readRequest(controlFd);
  if (request === undefined) process.exit(0);
  const reply = await bind(request).catch((error: unknown): BindReply => ({
    code: codeOf(error),
    error: messageOf(error),
  }));
  answer(controlFd, reply);
  closeSync(controlFd);
  if ('error' in reply) process.exit(1);
};

const bind = async ({ line, fds }: Received): Promise<BindReply> => {
  const { identity, shimCgroup, oomScoreAdj, descriptors }: BindRequest = JSON.parse(line);
  if (descriptors.length !== fds.length) {
    throw invalidArgument(`${descriptors.length} descriptors were announced and ${fds.length} came`);
  }
  // As containerd's own shim looks in a list of processes; Node cuts it to the room that there is.
  process.title = `${SHIM_BINARY} -namespace ${identity.namespace} -id ${identity.id} -address ${identity.address}`;
  if (shimCgroup !== '') await joinCgroup(process.pid, shimCgroup);
  setOomScore(oomScoreAdj);
  const paths = shimPaths(identity.state, shimHash(identity));
  // What a shim that crashed has left is taken up, not written over.
  const earlier = readLedger(paths.ledger);
  const survivors: Descriptors = Object.fromEntries(descriptors.map((name, index) => [name, fds[index] ?? -1]));
  const { address } = await resume(earlier === undefined ? newLedger(identity) : { ...earlier, identity }, survivors);
  return { address, pid: process.pid };
};

/** Nobody there to hear it is no reason not to serve: a daemon finds us by our socket. */
const answer = (controlFd: number, message: BindHello | BindReply): void => {
  try {
    writeNow(controlFd, Buffer.from(`${JSON.stringify(message)}\n`));
  } catch {}
};

/** Without the privilege to lower it the shim keeps the score that it has, which is no reason not to serve. */
const setOomScore = (score: number): void => {
  try {
    writeFileSync('/proc/self/oom_score_adj', String(score));
  } catch {}
};

interface Received {
  readonly line: string;
  /** In the order in which they came. */
  readonly fds: readonly number[];
}

/** The first line of a stream and all descriptors that came with it; undefined if it ends before one is whole. */
const readRequest = (fd: number): Promise<Received | undefined> => {
  const { promise, resolve } = Promise.withResolvers<Received | undefined>();
  const chunks: Buffer[] = [];
  const fds: number[] = [];
  let length = 0;
  const poller = new Poller(fd, { readable: true }, () => {
    const message = receiveDescriptors(fd, REQUEST_BYTES_MAX, MESSAGE_FDS_MAX);
    if (message === undefined) return;
    const { data } = message;
    fds.push(...message.fds);
    chunks.push(data);
    length += data.length;
    const whole = data.at(-1) === NEWLINE;
    if (!whole && data.length > 0 && length <= REQUEST_BYTES_MAX) return;
    poller.close();
    resolve(whole ? { line: Buffer.concat(chunks).toString('utf8'), fds } : undefined);
  });
  return promise;
};

const NEWLINE = 0x0a;
