import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { invalidArgument } from '../common/errdefs.ts';

/** What the shim reads of an OCI Spec. */
export interface SpecFacts {
  readonly annotations: Readonly<Record<string, string>>;
  /** Its first process's end is the end of all: the kernel sees to that. */
  readonly privatePidNamespace: boolean;
  /** Empty: none. */
  readonly selinuxLabel: string;
}

/** Reads `<bundle>/config.json`. */
export const readSpec = (bundle: string): SpecFacts => {
  const spec: PartialSpec = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8'));
  const listed = spec.linux?.namespaces;
  const namespaces = Array.isArray(listed) ? listed : []; // what is wrong with it the runtime says
  return {
    annotations: spec.annotations ?? {},
    privatePidNamespace: namespaces.some(({ type, path }) => type === 'pid' && (path === undefined || path === '')),
    selinuxLabel: spec.process?.selinuxLabel ?? '',
  };
};

/** The JSON of an OCI Process with `terminal` set as the request says. */
export const withTerminal = (process: string, terminal: boolean): string => {
  let parsed: unknown;
  try {
    parsed = JSON.parse(process, keepLargeNumbers);
  } catch (error) {
    throw invalidArgument(`process spec is not JSON: ${String(error)}`);
  }
  if (typeof parsed !== 'object' || parsed === null) throw invalidArgument('process spec is no object');
  return JSON.stringify({ ...parsed, terminal });
};

interface PartialSpec {
  readonly annotations?: Record<string, string>;
  readonly process?: { readonly selinuxLabel?: string };
  readonly linux?: { readonly namespaces?: readonly { readonly type: string; readonly path?: string }[] };
}

/** An unlimited rlimit is 2^64−1: as a JavaScript number it would come out larger, and runc would refuse it. */
const keepLargeNumbers = (_: string, value: unknown, context?: { readonly source?: string }): unknown =>
  typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '')
    ? rawJson(context?.source ?? '')
    : value;

/** JSON.rawJSON is in V8, but not in TypeScript's library yet. */
const rawJson: (text: string) => unknown = (JSON as unknown as { rawJSON: (this: void, text: string) => unknown })
  .rawJSON;
