import { decodeBounded } from '../bounded-decode.ts';
import { CodedError, codes, messageOf } from '../errdefs.ts';

/** A message's codec as proto/gen has it. */
export interface MessageCodec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(input: Uint8Array): T;
}

/** A service as the generated code describes it (ts-proto, `generic-definitions`). */
export interface ServiceDefinition {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDefinition>>;
}

export interface MethodDefinition {
  readonly name: string;
  readonly requestType: unknown;
  readonly requestStream: boolean;
  readonly responseType: unknown;
  readonly responseStream: boolean;
}

type MessageOf<C> = C extends { decode(...input: never[]): infer T } ? T : never;
export type RequestOf<M extends MethodDefinition> = MessageOf<M['requestType']>;
export type ResponseOf<M extends MethodDefinition> = MessageOf<M['responseType']>;

/** The generated codecs all have this shape; the definition's type only keeps which message it is. */
export const requestCodec = (method: MethodDefinition): MessageCodec<unknown> =>
  method.requestType as MessageCodec<unknown>;
export const responseCodec = (method: MethodDefinition): MessageCodec<unknown> =>
  method.responseType as MessageCodec<unknown>;

/** Internal, as with Go's peers, if the bytes are no message; `what` names it. */
export const decodeMessage = <T>(codec: Pick<MessageCodec<T>, 'decode'>, bytes: Uint8Array, what: string): T => {
  try {
    return codec.decode(bytes);
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw new CodedError(codes.internal, `ttrpc: malformed ${what}: ${messageOf(error)}`, { cause: error });
  }
};

/** The same for what a server is sent, and ResourceExhausted if it has more fields than FIELDS_MAX. */
export const decodeRequestMessage = (method: MethodDefinition, bytes: Uint8Array): unknown => {
  const what = `request of ${method.name}`;
  return decodeMessage({ decode: (input) => decodeBounded(requestCodec(method), input, what) }, bytes, what);
};
