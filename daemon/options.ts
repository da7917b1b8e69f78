import { parseArgs } from 'node:util';
import { invalidArgument, messageOf } from '../common/errdefs.ts';
import type { Overrides } from './config.ts';
import { LOG_LEVELS, type LogLevel } from './log.ts';

export const USAGE = `holdfastd: a container daemon that speaks containerd's API

Usage: holdfastd [flags]

  -a, --address PATH     gRPC socket (default /run/holdfast/holdfast.sock); shims' events come to PATH.ttrpc
      --root DIR         what must survive a reboot (default /var/lib/holdfast)
      --state DIR        what need not (default /run/holdfast)
  -c, --config FILE      configuration, ours or a containerd config.toml (default /etc/holdfast/config.toml)
  -l, --log-level LEVEL  ${LOG_LEVELS.slice(0, -1).join(', ')} (default info)
  -v, --version          print the version
  -h, --help             print this
`;

export type Command =
  | { readonly kind: 'serve'; readonly overrides: Overrides }
  | { readonly kind: 'version' }
  | { readonly kind: 'help' };

/** Reads the command line. Throws InvalidArgument. */
export const parseCommand = (args: readonly string[]): Command => {
  const { values } = parsed(args);
  if (values.help === true) return { kind: 'help' };
  if (values.version === true) return { kind: 'version' };
  const { address, root, state, config } = values;
  const logLevel = values['log-level'];
  return {
    kind: 'serve',
    overrides: {
      ...(config === undefined ? {} : { config }),
      ...(address === undefined ? {} : { address }),
      ...(root === undefined ? {} : { root }),
      ...(state === undefined ? {} : { state }),
      ...(logLevel === undefined ? {} : { logLevel: level(logLevel) }),
    },
  };
};

const parsed = (args: readonly string[]) => {
  try {
    return parseArgs({
      args: [...args],
      options: {
        address: { type: 'string', short: 'a' },
        root: { type: 'string' },
        state: { type: 'string' },
        config: { type: 'string', short: 'c' },
        'log-level': { type: 'string', short: 'l' },
        version: { type: 'boolean', short: 'v' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw invalidArgument(messageOf(error), { cause: error });
  }
};

const level = (name: string): LogLevel => {
  const found = LOG_LEVELS.find((one) => one === name);
  if (found === undefined) throw invalidArgument(`--log-level must be one of ${LOG_LEVELS.join(', ')}, not ${name}`);
  return found;
};
