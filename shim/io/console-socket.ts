import { closeSync, mkdtempSync, rmdirSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SOCKET_PATH_BYTES_MAX } from '../../common/bootstrap.ts';
import { withDeadline } from '../../common/deadline.ts';
import { unavailable } from '../../common/errdefs.ts';
import { listenUnix, Poller, receiveDescriptors } from '../../native/index.ts';

/** How long a terminal may take to arrive once the runtime has returned, ms. */
const RECEIVE_MS = 10_000;
/** runc's message is the terminal's name. */
const MESSAGE_BYTES_MAX = 4096;

/**
 * The socket over which a runtime hands us a terminal, in a directory of its own (0700), so that nobody else can send
 * us one. Source: runc, docs/terminals.md.
 */
export class ConsoleSocket {
  readonly path: string;
  readonly #directory: string;
  #listener: number | undefined;

  constructor() {
    this.#directory = makeDirectory();
    this.path = join(this.#directory, 's');
    try {
      this.#listener = listenUnix(this.path, { mode: 0o600 });
    } catch (error) {
      rmdirSync(this.#directory);
      throw error;
    }
  }

  /** The terminal's master. The runtime has sent it by the time it returns, so it waits in the socket. Closes the socket. */
  async receive(signal: AbortSignal): Promise<number> {
    const fd = this.#listener;
    if (fd === undefined) throw unavailable('console socket is closed');
    this.#listener = undefined; // the server closes it
    const server = net.createServer({ pauseOnConnect: true });
    try {
      return await withDeadline('receiving the terminal', RECEIVE_MS, (cut) => accept(server, fd, cut), signal);
    } finally {
      server.close();
      this.#remove();
    }
  }

  /** May be repeated. */
  close(): void {
    if (this.#listener === undefined) return;
    closeSync(this.#listener);
    this.#listener = undefined;
    this.#remove();
  }

  #remove(): void {
    unlinkSync(this.path);
    rmdirSync(this.#directory);
  }
}

/** TMPDIR may be too deep for a socket's path, which is short. */
const makeDirectory = (): string => {
  const [name, suffix] = ['holdfast-tty-', 'XXXXXX/s'];
  const fits = Buffer.byteLength(join(tmpdir(), name + suffix)) <= SOCKET_PATH_BYTES_MAX;
  return mkdtempSync(join(fits ? tmpdir() : '/tmp', name));
};

const accept = async (server: net.Server, fd: number, cut: AbortSignal): Promise<number> => {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once('error', reject);
  server.on('connection', (socket) => {
    socket.on('error', () => undefined);
    const connection = descriptorOf(socket);
    if (connection === undefined) return;
    const poller = new Poller(connection, { readable: true }, () => {
      try {
        const message = receiveDescriptors(connection, MESSAGE_BYTES_MAX, 1);
        if (message === undefined) return;
        const master = message.fds[0];
        if (master === undefined) reject(unavailable('the runtime sent no terminal'));
        else if (cut.aborted) closeSync(master);
        else resolve(master);
      } catch (error) {
        reject(error);
      }
      poller.close();
      socket.destroy();
    });
    cut.addEventListener('abort', () => {
      poller.close();
      socket.destroy();
    });
  });
  server.listen({ fd });
  return promise;
};

/** Node keeps a socket's descriptor to itself, except here. */
const descriptorOf = (socket: net.Socket): number | undefined => {
  const { _handle } = socket as unknown as { _handle?: { fd?: number } };
  return _handle?.fd === undefined || _handle.fd < 0 ? undefined : _handle.fd;
};
