import { CodedError, codes, notFound } from '../../common/errdefs.ts';

export const missing = (key: string): CodedError => notFound(`snapshot ${key} does not exist`);

export const missingParent = (key: string): CodedError => notFound(`parent snapshot ${key} does not exist`);

/** containerd learns from its database that a key has to have a name, and says so in the database's words. */
export const checkKey = (key: string): void => {
  if (key === '') throw new CodedError(codes.unknown, 'bucket name required');
};
