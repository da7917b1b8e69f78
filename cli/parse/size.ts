import { InvalidArgumentError } from 'commander';

const POWERS = ['b', 'k', 'm', 'g', 't'];

/** Bytes in `512m`, `1.5g`, `64KiB`, `1048576`: units are of 1024, as Docker has them. */
export const parseSize = (text: string): number => {
  const match = /^(\d+(?:\.\d+)?) ?([bkmgt])?(?:i?b)?$/i.exec(text);
  const size =
    match === null
      ? Number.NaN
      : Math.floor(Number(match[1]) * 1024 ** POWERS.indexOf((match[2] ?? 'b').toLowerCase()));
  if (!Number.isSafeInteger(size))
    throw new InvalidArgumentError('It is a number of bytes with k, m, g or t behind it: 512m.');
  return size;
};
