import { invalidArgument } from './errdefs.ts';

/** Longest identifier, characters. Source: containerd's identifiers package. */
export const IDENTIFIER_CHARACTERS_MAX = 76;

const IDENTIFIER = /^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$/;

/**
 * Refuses what is not an identifier (container, exec, namespace names) before it becomes part of a path.
 * Letters and digits, with single `.`, `_` or `-` between them; at most 76 characters.
 */
export const checkIdentifier = (value: string): string => {
  if (value.length === 0) throw invalidArgument('identifier must not be empty');
  if (value.length > IDENTIFIER_CHARACTERS_MAX) {
    throw invalidArgument(
      `identifier ${JSON.stringify(value)} greater than maximum length (${IDENTIFIER_CHARACTERS_MAX} characters)`,
    );
  }
  if (!IDENTIFIER.test(value)) {
    throw invalidArgument(`identifier ${JSON.stringify(value)} must match ${IDENTIFIER.source}`);
  }
  return value;
};
