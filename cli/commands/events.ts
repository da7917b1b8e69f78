import type { Command } from 'commander';
import type { Event, Subscription } from '../../client/events.ts';
import { codeOf, codes } from '../../common/errdefs.ts';
import { Failure } from '../failure.ts';
import { collect } from '../parse/pairs.ts';
import { parseSince } from '../parse/since.ts';
import { print } from '../print.ts';
import { eventJson, eventLine } from '../render/event.ts';
import { withClient } from '../session.ts';

interface EventsOptions {
  readonly since?: NonNullable<Subscription['since']>;
  readonly follow?: true;
  readonly json?: true;
  readonly filter?: readonly string[];
}

const MORE = `
Prints the events that the daemon has kept, of all namespaces, and ends; with --follow it goes on with those to come,
or begins with them if there is no --since. Each line begins with the event's place in the daemon's log: "--since 417"
goes on behind it, so that nothing is missed and nothing comes twice.

Filters are containerd's; several mean any of them:
  --filter 'topic=="/tasks/exit"'   --filter 'event.container_id==web,topic~=|^/tasks/|'`;

export const addEvents = (program: Command): void => {
  const command = program
    .command('events')
    .description('show what happens, and what has happened')
    .option('--since <when>', 'begin that long ago (10m), at that time, or behind that place in the log', parseSince)
    .option('-f, --follow', 'go on with what happens from now on')
    .option('--filter <filter>', 'only what matches', collect(String))
    .option('--json', 'one JSON document a line')
    .addHelpText('after', MORE)
    .action(async ({ since, follow, json, filter }: EventsOptions) => {
      await withClient(command, async (client) => {
        const what = {
          ...(since === undefined ? {} : { since }),
          ...(filter === undefined ? {} : { filters: filter }),
        };
        const events =
          follow === true ? client.events.subscribe({ ...what, onBroken }) : kept(client.events.history(what));
        for await (const event of events) await print(json === true ? eventJson(event) : eventLine(event));
      });
    });
};

async function* kept(history: AsyncGenerator<Event>): AsyncGenerator<Event> {
  try {
    yield* history;
  } catch (error) {
    if (codeOf(error) !== codes.unimplemented) throw error;
    throw new Failure('this daemon keeps no events: --follow shows those to come', { cause: error });
  }
}

const onBroken = (): void =>
  void process.stderr.write('holdfast: the daemon is away; the events go on when it is back\n');
