import type { Command } from 'commander';
import { connect, type Client } from '../client/connect.ts';

/** A connection to the daemon that the command line, or the environment, names. */
export const clientOf = (command: Command): Client =>
  connect(command.optsWithGlobals<{ readonly address: string; readonly namespace: string }>());
