/** The codes an error can have on gRPC and ttrpc; the numbers are gRPC's. */
export const codes = {
  ok: 0,
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

export type Code = (typeof codes)[keyof typeof codes];

/**
 * The one error type that crosses a wire. `message` is what a client reads, and it ends in the words that clients of
 * containerd 1.6 look for (": not found"); `cause` is for our log and never leaves the process.
 */
export class CodedError extends Error {
  readonly code: Code;

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CodedError';
    this.code = code;
  }
}

/** `container "web": not found`. Without an id, the subject stands alone: `namespace: not found`. */
export const notFound = (subject: string, id?: string, options?: ErrorOptions): CodedError =>
  new CodedError(codes.notFound, `${named(subject, id)}: not found`, options);

/** `container "web": already exists`. */
export const alreadyExists = (subject: string, id?: string, options?: ErrorOptions): CodedError =>
  new CodedError(codes.alreadyExists, `${named(subject, id)}: already exists`, options);

/** `identifier "../x" must match …: invalid argument`. */
export const invalidArgument = (reason: string, options?: ErrorOptions): CodedError =>
  new CodedError(codes.invalidArgument, `${reason}: invalid argument`, options);

/** `namespace is required: failed precondition`. */
export const failedPrecondition = (reason: string, options?: ErrorOptions): CodedError =>
  new CodedError(codes.failedPrecondition, `${reason}: failed precondition`, options);

export const unavailable = (reason: string, options?: ErrorOptions): CodedError =>
  new CodedError(codes.unavailable, `${reason}: unavailable`, options);

export const unimplemented = (reason: string, options?: ErrorOptions): CodedError =>
  new CodedError(codes.unimplemented, `${reason}: not implemented`, options);

export const resourceExhausted = (reason: string, options?: ErrorOptions): CodedError =>
  new CodedError(codes.resourceExhausted, reason, options);

export const deadlineExceeded = (reason: string, options?: ErrorOptions): CodedError =>
  new CodedError(codes.deadlineExceeded, `${reason}: context deadline exceeded`, options);

export const canceled = (reason: string, options?: ErrorOptions): CodedError =>
  new CodedError(codes.canceled, `${reason}: context canceled`, options);

/** A failure with no better code; containerd's clients see UNKNOWN with the text as it is. */
export const unknownError = (reason: string, options?: ErrorOptions): CodedError =>
  new CodedError(codes.unknown, reason, options);

/** The code of any thrown value; what is not a CodedError is `unknown`. */
export const codeOf = (error: unknown): Code => (error instanceof CodedError ? error.code : codes.unknown);

export const isNotFound = (error: unknown): boolean => codeOf(error) === codes.notFound;

/** The text a client may read of any thrown value. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Puts a subject before an error's text and keeps its code: `create "web": runc: …`. */
export const about = (subject: string, error: unknown): CodedError =>
  new CodedError(codeOf(error), `${subject}: ${messageOf(error)}`, { cause: error });

const named = (subject: string, id: string | undefined): string =>
  id === undefined ? subject : `${subject} ${JSON.stringify(id)}`;
