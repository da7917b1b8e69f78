import { canceled, deadlineExceeded, unknownError } from '../errdefs.ts';
import type { MethodDefinition, ServiceDefinition } from './definition.ts';
import { decodeResponse } from './envelope.ts';
import { type Frame, frameTypes, oversized } from './frame.ts';
import type { ReadonlyMetadata } from './metadata.ts';
import { decodeStatus } from './status.ts';
import { startTimer } from './timeout.ts';

export interface CallOptions {
  readonly metadata?: ReadonlyMetadata;
  /** Also told to the server; DeadlineExceeded here when it has passed. */
  readonly timeoutMs?: number;
  /** Canceled when it aborts. ttrpc has no message for that: the server learns it only from a closed connection. */
  readonly signal?: AbortSignal;
}

/** Where the frames of one stream go. */
export interface FrameReceiver {
  receive(frame: Frame): void;
  fail(error: Error): void;
}

export const methodOf = (definition: ServiceDefinition, key: string): MethodDefinition => {
  const method = definition.methods[key];
  if (method === undefined) throw new TypeError(`${definition.fullName} has no method ${key}`);
  return method;
};

/** Nothing is sent for a call that is over before it began. */
export const refuseEnded = (method: string, { timeoutMs, signal }: CallOptions): void => {
  if (signal?.aborted === true) throw canceled(method, { cause: signal.reason });
  if (timeoutMs !== undefined && timeoutMs <= 0) throw deadlineExceeded(method);
};

/** Fails a call when its time is up or its signal aborts; gives what takes both back. */
export const limitCall = (
  method: string,
  { timeoutMs, signal }: CallOptions,
  fail: (error: Error) => void,
): (() => void) => {
  const timer = startTimer(timeoutMs, () => fail(deadlineExceeded(method)));
  const onAbort = (): void => fail(canceled(method, { cause: signal?.reason }));
  signal?.addEventListener('abort', onAbort, { once: true });
  return () => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  };
};

/** The one frame that a call waits for. */
export class Answer implements FrameReceiver {
  readonly #settled = Promise.withResolvers<Uint8Array>();

  /** The message, as bytes. */
  get payload(): Promise<Uint8Array> {
    return this.#settled.promise;
  }

  receive(frame: Frame): void {
    try {
      this.#settled.resolve(payloadOf(frame));
    } catch (error) {
      this.#settled.reject(error);
    }
  }

  fail(error: Error): void {
    this.#settled.reject(error);
  }
}

/** The message in a response; throws the error that is there instead. */
export const payloadOf = ({ type, payload, oversizedBytes }: Frame): Uint8Array => {
  if (oversizedBytes !== undefined) throw oversized(oversizedBytes);
  if (type !== frameTypes.response) throw unexpected(type);
  const response = decodeResponse(payload);
  const error = decodeStatus(response.status);
  if (error !== undefined) throw error;
  return response.payload;
};

/** The peer broke the protocol on one stream. */
export const unexpected = (type: number): Error => unknownError(`ttrpc: unexpected message type ${type}`);
