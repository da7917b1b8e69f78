import type { Any } from '../proto/gen/google/protobuf/any.ts';

/** A JSON document in an Any, as containerd carries the types of the OCI runtime specification. */
export const jsonAny = (typeUrl: string, document: unknown): Any => ({
  typeUrl,
  value: Buffer.from(JSON.stringify(document)),
});

/** The document in an Any whose value is JSON; undefined if there is none or the value is something else. */
export const parseJsonAny = (any: Any | undefined): unknown => {
  if (any === undefined || any.value.length === 0) return undefined;
  try {
    return JSON.parse(Buffer.from(any.value).toString('utf8'));
  } catch {
    return undefined; // another type of document, which the caller does not know
  }
};
