import { InvalidArgumentError } from 'commander';
import { checkIdentifier } from '../../common/identifiers.ts';

/** The name of a container or a namespace. */
export const parseIdentifier = (text: string): string => {
  try {
    return checkIdentifier(text);
  } catch {
    throw new InvalidArgumentError('It is at most 76 letters and digits, with single . _ or - between them.');
  }
};
