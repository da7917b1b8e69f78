import type { Socket } from 'node:net';
import type { Metadata } from './metadata.ts';
import type { RequestOf, ResponseOf, MethodDefinition, ServiceDefinition } from './definition.ts';
import { type CallHandler, ServerConnection } from './server-connection.ts';

/** Who is at the other end of a unix socket. Source: SO_PEERCRED. */
export interface Peer {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** What a handler knows of its call besides the request. */
export interface CallContext {
  readonly service: string;
  readonly method: string;
  readonly metadata: Metadata;
  /** Aborts when the caller's time is up, when its connection is gone, or when the server is closed. */
  readonly signal: AbortSignal;
  /** The caller's timeout, ms from the beginning of the call; undefined: none. */
  readonly deadlineMs: number | undefined;
  readonly peer: Peer | undefined;
}

type Handler<M extends MethodDefinition> = (
  request: M['requestStream'] extends true ? AsyncIterable<RequestOf<M>> : RequestOf<M>,
  context: CallContext,
) => M['responseStream'] extends true ? AsyncIterable<ResponseOf<M>> : Promise<ResponseOf<M>>;

/** One handler for each method of a service, under the method's key in the definition. */
export type Handlers<D extends ServiceDefinition> = { readonly [K in keyof D['methods']]: Handler<D['methods'][K]> };

export interface TtrpcServerOptions {
  /** False: the connection is closed before anything is read from it. */
  readonly allowPeer?: (peer: Peer | undefined) => boolean;
  /** A failed call, for the log; the caller gets code and message in any case. */
  readonly onError?: (error: unknown, context: CallContext) => void;
}

/** How long close() waits for calls under way, ms, before it cuts them off. */
const CLOSE_MS_MAX = 5_000;

/** Serves any number of connections. It listens to nothing itself: whoever accepts a socket hands it over. */
export class TtrpcServer {
  readonly #options: TtrpcServerOptions;
  /** `service/method` → its handler; a Map, so that no name of a client's reaches Object.prototype. */
  readonly #methods = new Map<string, CallHandler>();
  readonly #connections = new Set<ServerConnection>();
  #closing = false;

  constructor(options: TtrpcServerOptions = {}) {
    this.#options = options;
  }

  /** Adds a service. The same handlers may serve two definitions of the same form. */
  serve<D extends ServiceDefinition>(definition: D, handlers: Handlers<D>): this {
    for (const [key, method] of Object.entries(definition.methods)) {
      // Handlers are checked against their definition by the type; from here on they are all alike.
      const run = (handlers as unknown as Record<string, CallHandler['run']>)[key];
      if (run === undefined) continue;
      this.#methods.set(`${definition.fullName}/${method.name}`, { method, run: run.bind(handlers) });
    }
    return this;
  }

  /** Takes over a connected socket. */
  accept(socket: Socket, peer?: Peer): void {
    if (this.#closing || this.#options.allowPeer?.(peer) === false) {
      socket.destroy();
      return;
    }
    const connection = new ServerConnection(socket, { methods: this.#methods, peer, onError: this.#options.onError });
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Takes no new call, waits a while for those under way, then closes every connection. */
  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all([...this.#connections].map((connection) => connection.close(CLOSE_MS_MAX)));
  }
}
