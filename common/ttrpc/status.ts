import type { Status } from '../../proto/gen/google/rpc/status.ts';
import { type Code, CodedError, codeOf, codes, messageOf } from '../errdefs.ts';

const failures: ReadonlySet<number> = new Set(Object.values(codes).filter((code) => code !== codes.ok));

/** Longest message of a status, UTF-16 units; what a program printed before it failed may be any length. */
export const STATUS_MESSAGE_LENGTH_MAX = 64 << 10;

/** What a thrown value looks like on the wire; its cause stays here. Whatever was thrown, it is never `ok`. */
export const encodeStatus = (error: unknown): Status => ({
  code: failureCode(codeOf(error)),
  message: shorten(messageOf(error)),
  details: [],
});

/** The error that a status stands for; undefined: none. A code that nobody knows is `unknown`. */
export const decodeStatus = (status: Status | undefined): CodedError | undefined => {
  if (status === undefined || status.code === codes.ok) return undefined;
  return new CodedError(failureCode(status.code), status.message);
};

const failureCode = (code: number): Code => (failures.has(code) ? (code as Code) : codes.unknown);

const shorten = (message: string): string =>
  message.length <= STATUS_MESSAGE_LENGTH_MAX ? message : `${message.slice(0, STATUS_MESSAGE_LENGTH_MAX - 1)}…`;
