import type { Any } from '../proto/gen/google/protobuf/any.ts';
import { decodeBounded } from './bounded-decode.ts';

/** What a message codec of proto/gen looks like. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(input: Uint8Array): T;
}

/**
 * Type URLs of documents that travel as JSON inside an Any. Every other type URL is the bare full name of a protobuf
 * message, without a host. Source: containerd's typeurl registrations.
 */
export const jsonTypes = {
  spec: 'types.containerd.io/opencontainers/runtime-spec/1/Spec',
  process: 'types.containerd.io/opencontainers/runtime-spec/1/Process',
  linuxResources: 'types.containerd.io/opencontainers/runtime-spec/1/LinuxResources',
} as const;

/** Packs a protobuf message under its full name. */
export const packAny = <T>(typeUrl: string, codec: Codec<T>, message: T): Any => ({
  typeUrl,
  value: Buffer.from(codec.encode(message).finish()),
});

/** The last part of a type URL: some clients put a host before the name, containerd's do not. */
export const typeName = (any: Any): string => any.typeUrl.slice(any.typeUrl.lastIndexOf('/') + 1);

/**
 * Unpacks an Any that must hold the named message; undefined if it holds something else or nothing. ResourceExhausted if
 * it has too many fields.
 */
export const unpackAny = <T>(any: Any | undefined, fullName: string, codec: Codec<T>): T | undefined =>
  any !== undefined && typeName(any) === fullName ? decodeBounded(codec, any.value, fullName) : undefined;

/** As `unpackAny`, for what somebody has published: undefined also if the bytes are no such message. */
export const readAny = <T>(any: Any | undefined, fullName: string, codec: Codec<T>): T | undefined => {
  try {
    return unpackAny(any, fullName, codec);
  } catch {
    return undefined;
  }
};
