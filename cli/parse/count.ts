import { InvalidArgumentError } from 'commander';

/** A whole number from 0 on. */
export const parseCount = (text: string): number => {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(count)) throw new InvalidArgumentError('It is a whole number.');
  return count;
};
