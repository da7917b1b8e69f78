import { FILE_BYTES_MAX, invalidHeader } from './format.ts';

/**
 * A number field: octal digits, or with the top bit set GNU's base-256. What does not fit a double exactly is refused;
 * so is what is negative, which no size, id or device number is.
 */
export const parseNumber = (block: Buffer, at: number, length: number): number => {
  const value = (block[at]! & 0x80) === 0 ? parseOctal(block, at, length) : parseBinary(block, at, length);
  if (value < 0n || value > BigInt(FILE_BYTES_MAX)) throw invalidHeader();
  return Number(value);
};

/** A time may lie before 1970, seconds. */
export const parseSeconds = (block: Buffer, at: number, length: number): bigint =>
  (block[at]! & 0x80) === 0 ? parseOctal(block, at, length) : parseBinary(block, at, length);

/** Leading and trailing blanks and NULs do not count; nothing at all is 0. */
const parseOctal = (block: Buffer, at: number, length: number): bigint => {
  let start = at;
  let end = at + length;
  while (start < end && isBlank(block[start]!)) start += 1;
  const nul = block.indexOf(0, start);
  if (nul !== -1 && nul < end) end = nul;
  while (end > start && isBlank(block[end - 1]!)) end -= 1;
  let value = 0;
  for (let index = start; index < end; index += 1) {
    const digit = block[index]! - 0x30;
    if (digit < 0 || digit > 7) throw invalidHeader();
    value = value * 8 + digit; // at most twelve digits: exact
  }
  return BigInt(value);
};

const isBlank = (byte: number): boolean => byte === 0 || byte === 0x20;

/** Two's complement of all bits but the first. */
const parseBinary = (block: Buffer, at: number, length: number): bigint => {
  const negative = (block[at]! & 0x40) !== 0;
  let value = BigInt(negative ? block[at]! | ~0xff : block[at]! & 0x7f);
  for (let index = at + 1; index < at + length; index += 1) value = (value << 8n) | BigInt(block[index]!);
  if (BigInt.asIntN(64, value) !== value) throw invalidHeader();
  return value;
};
