import type { Socket } from 'node:net';
import type { Peer } from './call.ts';

/**
 * grpc-js tells a handler nothing of its connection but the peer's address, and a unix socket's peer has none. So the
 * credentials are put there: `call.getPeer()` gives them back as text.
 */
export const markPeer = (socket: Socket, { pid, uid, gid }: Peer): void => {
  Object.defineProperty(socket, 'remoteAddress', { value: `unix:${pid}:${uid}:${gid}`, configurable: true });
};

/** Reads what `markPeer` wrote; undefined for any other address. */
export const peerOf = (address: string): Peer | undefined => {
  const match = /^unix:(\d+):(\d+):(\d+)$/.exec(address);
  return match === null ? undefined : { pid: Number(match[1]), uid: Number(match[2]), gid: Number(match[3]) };
};
