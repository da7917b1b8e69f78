import type { Status } from '../../proto/gen/google/rpc/status.ts';
import { type Code, CodedError, codeOf, codes, messageOf } from '../errdefs.ts';

const known: ReadonlySet<number> = new Set(Object.values(codes));

/** What a thrown value looks like on the wire; its cause stays here. */
export const encodeStatus = (error: unknown): Status => ({
  code: codeOf(error),
  message: messageOf(error),
  details: [],
});

/** The error that a status stands for; undefined: none. A code that nobody knows is `unknown`. */
export const decodeStatus = (status: Status | undefined): CodedError | undefined => {
  if (status === undefined || status.code === codes.ok) return undefined;
  return new CodedError(known.has(status.code) ? (status.code as Code) : codes.unknown, status.message);
};
