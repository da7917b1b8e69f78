/** Digest algorithms and the length of their value, hex digits. Source: OCI image spec, descriptor. */
const HEX_DIGITS: ReadonlyMap<string, number> = new Map([
  ['sha256', 64],
  ['sha384', 96],
  ['sha512', 128],
]);

/** What a digest is made with when nobody asks for another. */
export const CANONICAL_ALGORITHM = 'sha256';

const FORM = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[A-Za-z0-9=_-]+$/;

/** Why `text` is no digest of an algorithm that we know, in the words of Go's digest package; undefined: it is one. */
export const digestFault = (text: string): string | undefined => {
  const colon = text.indexOf(':');
  if (colon <= 0 || colon + 1 === text.length) return 'invalid checksum digest format';
  const length = HEX_DIGITS.get(text.slice(0, colon));
  if (length === undefined) return FORM.test(text) ? 'unsupported digest algorithm' : 'invalid checksum digest format';
  const value = text.slice(colon + 1);
  if (value.length !== length) return 'invalid checksum digest length';
  return /^[a-f0-9]+$/.test(value) ? undefined : 'invalid checksum digest format';
};

/** The parts of a digest without a fault: `sha256` and its hex digits. */
export const splitDigest = (digest: string): { readonly algorithm: string; readonly hex: string } => {
  const colon = digest.indexOf(':');
  return { algorithm: digest.slice(0, colon), hex: digest.slice(colon + 1) };
};

/** The algorithm that would make a digest of this form; the canonical one if it names none that we know. */
export const algorithmFor = (digest: string): string => {
  const { algorithm } = splitDigest(digest);
  return HEX_DIGITS.has(algorithm) ? algorithm : CANONICAL_ALGORITHM;
};
