import type { Socket } from 'node:net';
import type { Request } from '../../proto/gen/ttrpc/ttrpc.ts';
import { type CodedError, invalidArgument, resourceExhausted, unavailable, unimplemented } from '../errdefs.ts';
import { Connection } from './connection.ts';
import { decodeRequest } from './envelope.ts';
import { type Frame, frameTypes, oversized } from './frame.ts';
import type { OnError, Peer, ServedMethod, ServedMethods } from './handler.ts';
import { sendError, ServerCall } from './server-call.ts';

/** Calls that one connection may have under way; one more is refused with ResourceExhausted. */
export const CALLS_MAX = 4096;
/** How long a peer may take to read the last answers when a connection is closed, ms. */
const FAREWELL_MS = 500;

export interface ServerConnectionParts {
  readonly services: ServedMethods;
  readonly peer: Peer | undefined;
  readonly onError: OnError | undefined;
}

/** The server's side of one connection: frames in, each to its call. What is no call's business is refused here. */
export class ServerConnection {
  readonly #connection: Connection;
  readonly #parts: ServerConnectionParts;
  /** Until their handlers have ended, also those that have been answered. */
  readonly #calls = new Map<number, ServerCall>();
  #lastStreamId = 0;
  #closing = false;
  #onIdle: (() => void) | undefined;

  constructor(socket: Socket, parts: ServerConnectionParts) {
    this.#parts = parts;
    this.#connection = new Connection(socket, { onFrame: (frame) => this.#receive(frame), pauses: true });
    void this.#connection.closed.then(() => this.#failAll(this.#connection.closedError()));
  }

  get closed(): Promise<void> {
    return this.#connection.closed;
  }

  /** Refuses new calls, waits up to `waitMs` for those under way, then closes. */
  async close(waitMs: number): Promise<void> {
    this.#closing = true;
    if (this.#calls.size > 0) {
      const { promise: idle, resolve } = Promise.withResolvers<void>();
      this.#onIdle = resolve;
      const timer = setTimeout(resolve, waitMs);
      await idle;
      clearTimeout(timer);
    }
    this.#failAll(unavailable('ttrpc: server closed'));
    await this.#connection.end(FAREWELL_MS);
  }

  #receive(frame: Frame): void {
    const { streamId, type } = frame;
    if (streamId % 2 !== 1) {
      this.#refuse(streamId, invalidArgument('StreamID must be odd for client initiated streams'));
    } else if (type === frameTypes.request) {
      this.#receiveRequest(frame);
    } else if (type === frameTypes.data) {
      this.#receiveData(frame);
    }
    // Any other type is for a later version of the protocol to give a meaning to; Go's servers ignore it too.
  }

  #receiveRequest(frame: Frame): void {
    const { streamId } = frame;
    if (streamId <= this.#lastStreamId) {
      return this.#refuse(streamId, invalidArgument('StreamID cannot be re-used and must increment'));
    }
    this.#lastStreamId = streamId;
    if (frame.oversizedBytes !== undefined) return this.#refuse(streamId, oversized(frame.oversizedBytes));
    if (this.#closing) return this.#refuse(streamId, unavailable('ttrpc: server closed'));
    if (this.#calls.size >= CALLS_MAX) {
      return this.#refuse(streamId, resourceExhausted(`more than ${CALLS_MAX} calls at once`));
    }
    let call: ServerCall;
    try {
      const request = decodeRequest(frame.payload);
      const { peer, onError } = this.#parts;
      const parts = { connection: this.#connection, peer, onError };
      call = new ServerCall(frame, request, this.#find(request), parts);
    } catch (error) {
      return this.#refuse(streamId, error);
    }
    this.#calls.set(streamId, call);
    void call.run().then(() => this.#ended(streamId));
  }

  #receiveData(frame: Frame): void {
    const call = this.#calls.get(frame.streamId);
    if (call !== undefined) return call.receive(frame);
    // For a call that has been answered it was on its way already; for one that never was it is nonsense.
    if (frame.streamId > this.#lastStreamId) this.#refuse(frame.streamId, invalidArgument('StreamID is not active'));
  }

  #find({ service, method }: Request): ServedMethod {
    const methods = this.#parts.services.get(service);
    if (methods === undefined) throw unimplemented(`service ${service}`);
    const served = methods.get(method);
    if (served === undefined) throw unimplemented(`method ${method}`);
    return served;
  }

  #refuse(streamId: number, error: unknown): void {
    sendError(this.#connection, streamId, error);
  }

  #failAll(error: CodedError): void {
    for (const call of this.#calls.values()) call.fail(error);
  }

  #ended(streamId: number): void {
    this.#calls.delete(streamId);
    if (this.#calls.size === 0) this.#onIdle?.();
  }
}
