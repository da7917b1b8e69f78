/** Writes to our stdout; resolves when it is written. Rejects with EPIPE when nobody reads it any more. */
export const print = (text: string | Uint8Array): Promise<void> => {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  process.stdout.write(text, (error) => (error instanceof Error ? reject(error) : resolve()));
  return promise;
};
