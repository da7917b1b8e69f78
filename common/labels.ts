import { invalidArgument } from './errdefs.ts';

/** Longest label, key and value together, bytes. Source: containerd's labels package. */
export const LABEL_BYTES_MAX = 4096;

/** How much of a key that is too long the error shows, characters. */
const KEY_SHOWN = 10;

/** Keys are data, whatever they are called: a Map, never an object. */
export type Labels = ReadonlyMap<string, string>;

/** Refuses a label that is too long; `subject` says whose labels they are: `containers.Labels`. */
export const checkLabel = (subject: string, key: string, value: string): void => {
  if (Buffer.byteLength(key) + Buffer.byteLength(value) <= LABEL_BYTES_MAX) return;
  const shown = key.slice(0, KEY_SHOWN).toWellFormed();
  throw invalidArgument(
    `${subject}: label key and value greater than maximum size (${LABEL_BYTES_MAX} bytes), key: ${shown}`,
  );
};

export const checkLabels = (subject: string, labels: Labels): void => {
  for (const [key, value] of labels) checkLabel(subject, key, value);
};

/** An empty value is how the API takes a label away, so none is ever kept. */
export const withoutEmpty = (labels: Labels): Labels => new Map([...labels].filter(([, value]) => value !== ''));
