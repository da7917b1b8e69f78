/**
 * Text of somebody else's, fit for a terminal and for one line of it: control characters, which could move the cursor
 * or change what was printed before, are shown as `\x1b`.
 */
export const plain = (text: string): string =>
  text.replace(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
