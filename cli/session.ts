import { Option, type Command } from 'commander';
import { connect, DEFAULT_ADDRESS, DEFAULT_NAMESPACE, type Client } from '../client/connect.ts';
import { parseIdentifier } from './parse/identifier.ts';
import { explainUnknown } from './unknown-container.ts';

interface Connection {
  readonly address: string;
  readonly namespace: string;
}

/**
 * Does something with a connection to the daemon that the command line, or the environment, names. An error about a
 * container that is not there then says which one may have been meant.
 */
export const withClient = async <T>(command: Command, act: (client: Client) => Promise<T>): Promise<T> => {
  await using client = connect(connectionOf(command));
  try {
    return await act(client);
  } catch (error) {
    throw await explainUnknown(client, error);
  }
};

/** Before the verb; what stands there holds unless the verb is told otherwise. */
export const addConnectionOptions = (program: Command): Command =>
  program
    .addOption(addressOption('-a, --address <path>').env('HOLDFAST_ADDRESS').default(DEFAULT_ADDRESS))
    .addOption(namespaceOption('-n, --namespace <name>').env('HOLDFAST_NAMESPACE').default(DEFAULT_NAMESPACE));

/** Behind the verb too, for all verbs below `program`; in short as far as the verb has no such option of its own. */
export const repeatConnectionOptions = (program: Command): void => {
  for (const command of program.commands) {
    repeatConnectionOptions(command);
    const isTaken = (short: string): boolean => command.options.some((option) => option.short === short);
    command
      .addOption(addressOption(isTaken('-a') ? '--address <path>' : '-a, --address <path>'))
      .addOption(namespaceOption(isTaken('-n') ? '--namespace <name>' : '-n, --namespace <name>'));
  }
};

/** The innermost that was given. Not commander's own merge: there the outermost wins, its defaults too. */
const connectionOf = (command: Command): Connection => {
  const { address, namespace } = command.opts<Partial<Connection>>();
  const outer = command.parent === null ? undefined : connectionOf(command.parent);
  return {
    address: address ?? outer?.address ?? DEFAULT_ADDRESS,
    namespace: namespace ?? outer?.namespace ?? DEFAULT_NAMESPACE,
  };
};

const addressOption = (flags: string): Option => new Option(flags, "the daemon's socket").helpGroup('Which daemon:');

const namespaceOption = (flags: string): Option =>
  new Option(flags, 'whose containers').helpGroup('Which daemon:').argParser(parseIdentifier);
