import type { MethodDefinition, RequestOf, ResponseOf, ServiceDefinition } from './definition.ts';
import type { Metadata } from './metadata.ts';

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
  /** Aborts when the call has failed without the handler: its time is up, or its connection or the server is closed. */
  readonly signal: AbortSignal;
  /** The caller's timeout, ms from the beginning of the call; undefined: none. */
  readonly deadlineMs: number | undefined;
  readonly peer: Peer | undefined;
}

/** A method's request is a message, or with a client stream all of them; likewise its response. */
export type Handler<M extends MethodDefinition> = (
  request: M['requestStream'] extends true ? AsyncIterable<RequestOf<M>> : RequestOf<M>,
  context: CallContext,
) => M['responseStream'] extends true ? AsyncIterable<ResponseOf<M>> : Promise<ResponseOf<M>>;

/** One handler for each method of a service, under the method's key in the definition. */
export type Handlers<D extends ServiceDefinition> = { readonly [K in keyof D['methods']]: Handler<D['methods'][K]> };

/** A method with its handler, once the types have made sure that they fit. */
export interface ServedMethod {
  readonly method: MethodDefinition;
  readonly run: (request: unknown, context: CallContext) => Promise<unknown> | AsyncIterable<unknown>;
}

/** Service → method → what serves it. Maps, so that no name of a client's reaches Object.prototype. */
export type ServedMethods = ReadonlyMap<string, ReadonlyMap<string, ServedMethod>>;

/** Told of a call that failed, for the log; the caller gets code and message in any case. */
export type OnError = (error: unknown, context: CallContext) => void;
