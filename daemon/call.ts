import type { Logger } from 'pino';

/** Who is at the other end of a unix socket, as the kernel saw it when the connection was made (SO_PEERCRED). */
export interface Peer {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** What a handler knows of the call it answers, besides the request. */
export interface Call {
  /** `containerd-namespace` as the client sent it, unchecked: a handler that needs one uses `requireNamespace`. */
  readonly namespace?: string;
  /** `containerd-lease`. */
  readonly lease?: string;
  /** All metadata with text values, keys in lower case. */
  readonly metadata: ReadonlyMap<string, readonly string[]>;
  /**
   * Aborts when the client gives up, its deadline passes or its connection ends. When the daemon stops too: for a stream
   * at once, for a single call after a grace (one that waits for long looks at Core.stopping itself).
   */
  readonly signal: AbortSignal;
  /** What the client's deadline left when the call arrived, milliseconds; absent: none. */
  readonly deadlineMs?: number;
  readonly peer?: Peer;
  /** Carries the method, the namespace and the peer. */
  readonly log: Logger;
}

interface Method {
  readonly name: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestType: Message;
  readonly responseType: Message;
}

/** What serve.ts needs of a ts-proto message. */
interface Message {
  encode(message: never): { finish(): Uint8Array };
  decode(input: Uint8Array): unknown;
}

/** A service as ts-proto describes it (`outputServices=generic-definitions`). */
export interface Definition {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, Method>>;
}

type Decoded<M extends Message> = ReturnType<M['decode']>;

/** One method's handler: a stream, in or out, is an AsyncIterable. */
export type Handler<M extends Method> = (
  request: M['requestStream'] extends true ? AsyncIterable<Decoded<M['requestType']>> : Decoded<M['requestType']>,
  call: Call,
) => M['responseStream'] extends true
  ? AsyncIterable<Decoded<M['responseType']>>
  : Decoded<M['responseType']> | Promise<Decoded<M['responseType']>>;

export type Handlers<D extends Definition> = { readonly [K in keyof D['methods']]: Handler<D['methods'][K]> };

/** A service as compose.ts collects them. */
export interface Service {
  readonly definition: Definition;
  readonly handlers: Readonly<Record<string, (request: never, call: Call) => unknown>>;
}

/** Checks the handlers against the definition, and gives both as a Service. */
export const service = <D extends Definition>(definition: D, handlers: Handlers<D>): Service => ({
  definition,
  handlers,
});
