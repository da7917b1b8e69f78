import { invalidArgument } from '../common/errdefs.ts';

/** The command line of a shim. Source: containerd's shim protocol, "Command Line". */
export interface Flags {
  readonly namespace: string;
  readonly id: string;
  readonly address: string;
  readonly publishBinary: string;
  readonly bundle: string;
  readonly debug: boolean;
  readonly version: boolean;
  readonly info: boolean;
  /** `start`, `delete`, …; empty where only a flag is given. */
  readonly action: string;
  readonly operands: readonly string[];
}

/** Reads flags in Go's way: one dash or two, `-name value` or `-name=value`, none after the first operand. */
export const parseFlags = (args: readonly string[]): Flags => {
  const values: Record<TextFlag, string> = {
    namespace: '',
    id: '',
    address: '',
    'publish-binary': '',
    bundle: '',
    socket: '',
  };
  const switches: Record<SwitchFlag, boolean> = { debug: false, v: false, info: false };
  let at = 0;
  for (; at < args.length; at += 1) {
    const match = /^--?([a-z][a-z-]*)(?:=(.*))?$/s.exec(args[at] ?? '');
    if (match === null) break;
    const [, name = '', value] = match;
    if (isOneOf(switches, name)) {
      switches[name] = value === undefined || value === 'true' || value === '1';
    } else if (isOneOf(values, name)) {
      const given = value ?? args[(at += 1)];
      if (given === undefined) throw invalidArgument(`flag needs an argument: -${name}`);
      values[name] = given;
    } else {
      throw invalidArgument(`flag provided but not defined: -${name}`);
    }
  }
  const [action = '', ...operands] = args.slice(at);
  const { namespace, id, address, bundle } = values;
  const { debug, v: version, info } = switches;
  return {
    namespace,
    id,
    address,
    bundle,
    publishBinary: values['publish-binary'],
    debug,
    version,
    info,
    action,
    operands,
  };
};

type TextFlag = 'namespace' | 'id' | 'address' | 'publish-binary' | 'bundle' | 'socket';
type SwitchFlag = 'debug' | 'v' | 'info';

const isOneOf = <K extends string>(known: Readonly<Record<K, unknown>>, name: string): name is K =>
  Object.hasOwn(known, name);
