/** What the SDK gives, as JSON: maps are objects, bytes are base64, 64-bit integers are numbers as far as they fit. */
export const json = (value: unknown, options: { readonly indent?: number } = {}): string =>
  `${JSON.stringify(value, replace, options.indent)}\n`;

const replace = (_key: string, value: unknown): unknown => {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Map) return Object.fromEntries(value);
  // Buffers have a toJSON of their own, which runs before this.
  if (isSerializedBuffer(value)) return Buffer.from(value.data).toString('base64');
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
};

const isSerializedBuffer = (value: unknown): value is { readonly data: number[] } =>
  typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer' && 'data' in value;
