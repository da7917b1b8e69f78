import type { Command } from 'commander';
import type { Event, Subscription } from '../../client/events.ts';
import { codeOf, codes, messageOf } from '../../common/errdefs.ts';
import { SINCE_KEY } from '../../common/sequenced-envelope.ts';
import { Failure, wireWords } from '../failure.ts';
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
      const what = { ...(since === undefined ? {} : { since }), ...(filter === undefined ? {} : { filters: filter }) };
      await withClient(command, async ({ events }) => {
        const all = follow === true ? events.subscribe({ ...what, onBroken }) : events.history(what);
        for await (const event of explained(all)) await print(json === true ? eventJson(event) : eventLine(event));
      });
    });
};

async function* explained(events: AsyncGenerator<Event>): AsyncGenerator<Event> {
  try {
    yield* events;
  } catch (error) {
    const cause = { cause: error };
    if (codeOf(error) === codes.unimplemented) {
      throw new Failure('this daemon keeps no events: --follow shows those to come', cause);
    }
    // The daemon names its metadata, which is not what was typed.
    const words = wireWords(messageOf(error)).replace(`${SINCE_KEY}: `, '');
    throw codeOf(error) === codes.outOfRange ? new Failure(`--since: ${words}`, cause) : error;
  }
}

const onBroken = (): void =>
  void process.stderr.write('holdfast: the daemon is away; the events go on when it is back\n');
