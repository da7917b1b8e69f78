import { type Code, CodedError, codes } from '../common/errdefs.ts';

/** A system call failed. The code is what a client should make of it; `errnoName` says what the kernel said. */
export class ErrnoError extends CodedError {
  /** As in errno, above 0. */
  readonly errno: number;
  /** `ENOENT` */
  readonly errnoName: string;
  /** `openat2` */
  readonly syscall: string;

  constructor(errno: number, errnoName: string, syscall: string, message: string) {
    super(codeByErrno.get(errnoName) ?? codes.unknown, message);
    this.name = 'ErrnoError';
    this.errno = errno;
    this.errnoName = errnoName;
    this.syscall = syscall;
  }
}

/** Made by the addon for every failed call; reads as Go's errors do: `mount /mnt: no such file or directory`. */
export const errnoError = (
  errno: number,
  errnoName: string | undefined,
  syscall: string,
  reason: string | undefined,
  subject: string | undefined,
): ErrnoError => {
  const name = errnoName ?? `errno ${errno}`;
  const what = subject === undefined ? syscall : `${syscall} ${subject}`;
  return new ErrnoError(errno, name, syscall, `${what}: ${lowerFirst(reason ?? name)}`);
};

/** "No such file" → "no such file", but "RFS specific error" stays. */
const lowerFirst = (text: string): string =>
  /^[A-Z][a-z ]/.test(text) ? text[0]!.toLowerCase() + text.slice(1) : text;

const codeByErrno: ReadonlyMap<string, Code> = new Map<string, Code>([
  ['ENOENT', codes.notFound],
  ['ESRCH', codes.notFound],
  ['EEXIST', codes.alreadyExists],
  ['EADDRINUSE', codes.alreadyExists],
  ['EACCES', codes.permissionDenied],
  ['EPERM', codes.permissionDenied],
  ['ENOSPC', codes.resourceExhausted],
  ['EDQUOT', codes.resourceExhausted],
  ['EMFILE', codes.resourceExhausted],
  ['ENFILE', codes.resourceExhausted],
  ['ENOMEM', codes.resourceExhausted],
  ['ETOOMANYREFS', codes.resourceExhausted],
  ['EMSGSIZE', codes.resourceExhausted],
  ['EINVAL', codes.invalidArgument],
  ['E2BIG', codes.invalidArgument],
  ['EBADF', codes.invalidArgument],
  ['ENAMETOOLONG', codes.invalidArgument],
  ['EBUSY', codes.failedPrecondition],
  ['ENOTEMPTY', codes.failedPrecondition],
  ['ENOSYS', codes.unimplemented],
  ['EOPNOTSUPP', codes.unimplemented],
  ['ENOTSUP', codes.unimplemented],
  ['ETIMEDOUT', codes.deadlineExceeded],
  ['EAGAIN', codes.unavailable],
  ['ECONNREFUSED', codes.unavailable],
  ['ECONNRESET', codes.unavailable],
  ['EPIPE', codes.unavailable],
  ['ENXIO', codes.unavailable],
]);
