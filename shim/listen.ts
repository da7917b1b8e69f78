import { closeSync, constants, mkdirSync, openSync, rmSync, statSync, fstatSync } from 'node:fs';
import net from 'node:net';
import { alreadyExists, invalidArgument } from '../common/errdefs.ts';
import { SOCKET_PATH_BYTES_MAX, type ShimPaths } from '../common/bootstrap.ts';
import { listenUnix, lockFile, peerCredentials } from '../native/index.ts';
import { dirname, join } from 'node:path';

/** Connections that may wait for a busy shim. */
const BACKLOG = 128;

/** Who is at the other end of a connection. */
export interface Peer {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Takes possession of a shim's directory: 0700, and locked as long as the process lives, so that two shims never write
 * one ledger. AlreadyExists while another holds it.
 */
export const claimDirectory = (paths: ShimPaths): number => {
  for (;;) {
    mkdirSync(dirname(paths.directory), { recursive: true, mode: 0o700 });
    mkdirSync(paths.directory, { recursive: true, mode: 0o700 });
    const path = join(paths.directory, 'lock');
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    if (!lockFile(fd, 'exclusive')) {
      closeSync(fd);
      throw alreadyExists('shim', paths.directory);
    }
    // A shim that ended just now has removed what we have opened.
    if (statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino) return fd;
    closeSync(fd);
  }
};

/** Binds one of the shim's sockets, 0600 from the first moment. Its directory must be claimed: what is there is stale. */
export const bindAt = (path: string): number => {
  const bytes = Buffer.byteLength(path);
  if (bytes > SOCKET_PATH_BYTES_MAX) {
    throw invalidArgument(`socket path ${path} has ${bytes} bytes, more than ${SOCKET_PATH_BYTES_MAX}`);
  }
  rmSync(path, { force: true });
  return listenUnix(path, { mode: 0o600, backlog: BACKLOG });
};

/** Accepts connections on a listening descriptor; a peer that is neither root nor of our own uid is hung up on. */
export const acceptFrom = (fd: number, onConnection: (socket: net.Socket, peer: Peer) => void): Promise<net.Server> => {
  const server = net.createServer({ pauseOnConnect: false }, (socket) => {
    const peer = peerOf(socket);
    if (peer === undefined || (peer.uid !== 0 && peer.uid !== process.getuid?.())) {
      socket.destroy();
      return;
    }
    onConnection(socket, peer);
  });
  const { promise, resolve, reject } = Promise.withResolvers<net.Server>();
  server.once('error', reject);
  server.listen({ fd }, () => resolve(server));
  return promise;
};

const peerOf = (socket: net.Socket): Peer | undefined => {
  const fd = descriptorOf(socket);
  return fd === undefined ? undefined : peerCredentials(fd);
};

/** Node keeps a socket's descriptor to itself, except here; undefined: it is closed. */
export const descriptorOf = (socket: net.Socket): number | undefined => {
  const { _handle } = socket as unknown as { _handle?: { fd?: number } };
  return _handle?.fd === undefined || _handle.fd < 0 ? undefined : _handle.fd;
};
