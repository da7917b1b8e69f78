import { canceled, deadlineExceeded } from './errdefs.ts';

/**
 * Runs `body` with a signal that aborts when `ms` have passed or `parent` aborts, and rejects then at once: a body that
 * ignores its signal delays nobody. The error names `what`.
 */
export const withDeadline = async <T>(
  what: string,
  ms: number,
  body: (signal: AbortSignal) => Promise<T>,
  parent?: AbortSignal,
): Promise<T> => {
  const controller = new AbortController();
  const { promise: cut, reject } = Promise.withResolvers<never>();
  const end = (error: Error): void => {
    controller.abort(error);
    reject(error);
  };
  const timer = setTimeout(() => end(deadlineExceeded(`${what} took longer than ${ms} ms`)), ms);
  const onParent = (): void => end(canceled(what, { cause: parent?.reason }));
  parent?.addEventListener('abort', onParent, { once: true });
  try {
    if (parent?.aborted === true) throw canceled(what, { cause: parent.reason });
    return await Promise.race([body(controller.signal), cut]);
  } finally {
    clearTimeout(timer);
    parent?.removeEventListener('abort', onParent);
    cut.catch(() => undefined);
  }
};
