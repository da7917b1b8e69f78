import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { type BindReply, type BindRequest, shimHash, shimPaths } from '../common/bootstrap.ts';
import { codeOf, messageOf } from '../common/errdefs.ts';
import { joinCgroup } from './cgroup/paths.ts';
import { newLedger, readLedger } from './ledger.ts';
import { resume } from './resume.ts';
import { warmUp } from './warm-up.ts';

/** Where a spare's socket is. Source: common/bootstrap.ts. */
const CONTROL_FD = 3;
/** Longest request line, bytes. */
const REQUEST_BYTES_MAX = 64 << 10;

/** Waits on descriptor 3 to be told whom to serve, and serves from then on. End of file before that: ends. */
export const runSpare = async (): Promise<void> => {
  const control = new net.Socket({ fd: CONTROL_FD, readable: true, writable: true });
  control.on('error', () => undefined); // its other end is gone: the end of the stream says so
  const wanted = new AbortController();
  const warm = warmUp(wanted.signal);
  const line = await readLine(control);
  wanted.abort();
  await warm; // a step is short
  if (line === undefined) process.exit(0);
  const reply = await bind(line).catch((error: unknown): BindReply => ({
    code: codeOf(error),
    error: messageOf(error),
  }));
  await new Promise<void>((resolve) => control.end(`${JSON.stringify(reply)}\n`, () => resolve()));
  control.destroy();
  if ('error' in reply) process.exit(1);
};

const bind = async (line: string): Promise<BindReply> => {
  const { identity, shimCgroup, oomScoreAdj }: BindRequest = JSON.parse(line);
  if (shimCgroup !== '') await joinCgroup(process.pid, shimCgroup);
  setOomScore(oomScoreAdj);
  const paths = shimPaths(identity.state, shimHash(identity));
  // What a shim that crashed has left is taken up, not written over.
  const earlier = readLedger(paths.ledger);
  const { address } = await resume(earlier === undefined ? newLedger(identity) : { ...earlier, identity }, {});
  return { address, pid: process.pid };
};

/** Without the privilege to lower it the shim keeps the score that it has, which is no reason not to serve. */
const setOomScore = (score: number): void => {
  try {
    writeFileSync('/proc/self/oom_score_adj', String(score));
  } catch {}
};

/** The first line of a stream; undefined if it ends before one is whole. */
const readLine = (socket: net.Socket): Promise<string | undefined> => {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  let text = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    text += chunk;
    const end = text.indexOf('\n');
    if (end >= 0) resolve(text.slice(0, end));
    else if (text.length > REQUEST_BYTES_MAX) resolve(undefined);
  });
  socket.on('close', () => resolve(undefined));
  socket.on('end', () => resolve(undefined));
  return promise;
};
