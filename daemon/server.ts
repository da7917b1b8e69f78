import { lstatSync, rmSync } from 'node:fs';
import { chown } from 'node:fs/promises';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import type { Logger } from 'pino';
import { SOCKET_PATH_BYTES_MAX } from '../common/bootstrap.ts';
import { failedPrecondition, invalidArgument } from '../common/errdefs.ts';
import { listenUnix, peerCredentials } from '../native/index.ts';
import type { Peer, Service } from './call.ts';
import type { Config } from './config.ts';
import { markPeer } from './peer.ts';
import { refuseCompression } from './refuse-compression.ts';
import { type ServeOptions, serveOn } from './serve.ts';

/** Mode of the sockets: the owner and its group, as in containerd. */
const SOCKET_MODE = 0o660;

const BACKLOG = 512;

/** How often a server that closes looks whether its calls have ended, milliseconds. */
const POLL_MS = 5;

/** A path that the kernel cannot take would be cut by some programs and refused by others; we say so. */
export const checkSocketPath = (path: string): void => {
  const bytes = Buffer.byteLength(path);
  if (bytes <= SOCKET_PATH_BYTES_MAX) return;
  throw invalidArgument(
    `socket path ${path} has ${bytes} bytes, and ${SOCKET_PATH_BYTES_MAX} is the most there can be`,
  );
};

export interface Listener {
  /** Takes no more connections, and removes the socket. */
  close(): void;
}

/** Listens on a unix socket and hands over each connection with its peer's credentials. */
export const listen = async (
  path: string,
  { config, log }: { readonly config: Config; readonly log: Logger },
  onConnection: (socket: net.Socket, peer: Peer) => void,
): Promise<Listener> => {
  checkSocketPath(path);
  await removeStale(path);
  const fd = listenUnix(path, { mode: SOCKET_MODE, backlog: BACKLOG });
  await chown(path, config.socketUid, config.socketGid);
  const server = net.createServer((socket) => {
    socket.on('error', (error) => log.debug({ err: error.message }, 'connection failed'));
    try {
      onConnection(socket, peerCredentials(descriptorOf(socket)));
    } catch (error) {
      log.debug({ err: error }, 'connection refused');
      socket.destroy();
    }
  });
  server.on('error', (error) => log.error({ err: error, path }, 'accepting failed')); // EMFILE: it goes on
  server.listen({ fd });
  return {
    close: () => {
      server.close();
      rmSync(path, { force: true });
    },
  };
};

/** net.Socket tells nobody its descriptor; its handle does. */
const descriptorOf = (socket: net.Socket): number =>
  (socket as unknown as { readonly _handle: { readonly fd: number } })._handle.fd;

/** A socket that a dead daemon left is removed; one at which somebody listens is refused, and so is any other file. */
const removeStale = async (path: string): Promise<void> => {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw failedPrecondition(`${path} is there already, and is no socket`);
  if (await isListening(path)) throw failedPrecondition(`somebody else listens on ${path}`);
  rmSync(path, { force: true });
};

const isListening = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(path);
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => end(true));
    // Anything else (EAGAIN: its queue is full) means that there is somebody.
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code !== 'ECONNREFUSED'));
  });

export interface GrpcServer {
  accept(socket: net.Socket, peer: Peer): void;
  /** Waits until the calls under way have ended, at most `graceMs`; those left see their connection break. */
  close(graceMs: number): Promise<void>;
}

export const grpcServer = (
  services: readonly Service[],
  config: Config,
  options: Omit<ServeOptions, 'underWay'>,
): GrpcServer => {
  const underWay = new Set<object>();
  const server = new grpc.Server({
    'grpc.max_receive_message_length': config.receiveBytesMax,
    'grpc.max_send_message_length': config.sendBytesMax,
    'grpc.enable_channelz': 0,
    interceptors: [refuseCompression],
  });
  for (const service of services) serveOn(server, service, { ...options, underWay });
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  const sockets = new Set<net.Socket>();
  return {
    accept: (socket, peer) => {
      markPeer(socket, peer);
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      injector.injectConnection(socket);
    },
    close: async (graceMs) => {
      const end = Date.now() + graceMs;
      // A connection told to close (GOAWAY) may lose the statuses that are on their way: they go first.
      while (underWay.size > 0 && Date.now() < end) await sleep(POLL_MS);
      await sleep(POLL_MS);
      // Not forceShutdown: that ends streams with CANCELLED. A broken connection is UNAVAILABLE to a client.
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(() => sockets.forEach((socket) => socket.destroy()), end - Date.now());
      server.tryShutdown(() => resolve());
      await promise;
      clearTimeout(timer);
    },
  };
};
