import type { Socket } from 'node:net';
import type { ServiceDefinition } from './definition.ts';
import type { Handlers, OnError, Peer, ServedMethod } from './handler.ts';
import { ServerConnection } from './server-connection.ts';

export interface TtrpcServerOptions {
  /** False: the connection is closed before anything is read from it. */
  readonly allowPeer?: (peer: Peer | undefined) => boolean;
  readonly onError?: OnError;
}

/** How long close() waits for calls under way, ms, before it cuts them off. */
export const CLOSE_MS_MAX = 5_000;

/** Serves any number of connections. It listens to nothing itself: whoever accepts a socket hands it over. */
export class TtrpcServer {
  readonly #options: TtrpcServerOptions;
  readonly #services = new Map<string, ReadonlyMap<string, ServedMethod>>();
  readonly #connections = new Set<ServerConnection>();
  #closing = false;

  constructor(options: TtrpcServerOptions = {}) {
    this.#options = options;
  }

  /** Adds a service, once. The same handlers may serve two definitions of the same form. */
  serve<D extends ServiceDefinition>(definition: D, handlers: Handlers<D>): this {
    if (this.#services.has(definition.fullName)) throw new TypeError(`${definition.fullName} is served already`);
    const methods = new Map<string, ServedMethod>();
    for (const [key, method] of Object.entries(definition.methods)) {
      // Handlers are checked against their definition by the type; from here on they are all alike.
      const run = (handlers as unknown as Readonly<Record<string, ServedMethod['run']>>)[key];
      if (run !== undefined) methods.set(method.name, { method, run: run.bind(handlers) });
    }
    this.#services.set(definition.fullName, methods);
    return this;
  }

  /** Takes over a connected socket. */
  accept(socket: Socket, peer?: Peer): void {
    if (this.#closing || this.#options.allowPeer?.(peer) === false) {
      socket.destroy();
      return;
    }
    const { onError } = this.#options;
    const connection = new ServerConnection(socket, { services: this.#services, peer, onError });
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
  }

  /** How many are open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Takes no new call, waits up to CLOSE_MS_MAX for those under way, then closes every connection. */
  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all([...this.#connections].map((connection) => connection.close(CLOSE_MS_MAX)));
  }
}
