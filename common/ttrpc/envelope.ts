import type { Status } from '../../proto/gen/google/rpc/status.ts';
import { type KeyValue, Request, Response } from '../../proto/gen/ttrpc/ttrpc.ts';
import { decodeBounded } from '../bounded-decode.ts';
import { CodedError, invalidArgument, messageOf } from '../errdefs.ts';
import { decodeMessage } from './definition.ts';

/** The documents inside frames: a request names its method, a response carries a status or a message. */
export const encodeRequest = (request: {
  readonly service: string;
  readonly method: string;
  readonly payload: Uint8Array;
  readonly timeoutNano: bigint;
  readonly metadata: KeyValue[];
}): Uint8Array => Request.encode({ ...request, payload: asBuffer(request.payload) }).finish();

/** InvalidArgument, as with Go's servers, if the bytes are no request; ResourceExhausted if it has too many fields. */
export const decodeRequest = (bytes: Uint8Array): Request => {
  try {
    return decodeBounded(Request, bytes, 'ttrpc request');
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw invalidArgument(`unmarshal request error: ${messageOf(error)}`, { cause: error });
  }
};

export const encodeResponse = (status: Status | undefined, payload: Uint8Array): Uint8Array =>
  Response.encode({ status, payload: asBuffer(payload) }).finish();

export const decodeResponse = (bytes: Uint8Array): Response => decodeMessage(Response, bytes, 'response');

/** A view, not a copy: the generated code asks for a Buffer and only reads it. */
const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
