import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Client } from '../../client/connect.ts';
import { formatNanos } from '../../common/timestamp.ts';
import { print } from '../print.ts';
import { bytes } from '../render/human.ts';
import { json } from '../render/json.ts';
import { table } from '../render/table.ts';
import { type Sample, Sampler } from '../sample-usage.ts';
import { withClient } from '../session.ts';

interface StatsOptions {
  readonly stream: boolean;
  readonly json?: true;
}

/** Between two looks, milliseconds. Also what a CPU percentage is measured over. */
const EVERY_MS = 1_000;
/** To the first line and the first column, and nothing behind the cursor. Source: ECMA-48, CUP and ED. */
const FROM_THE_TOP = '\x1b[H\x1b[J';

const MORE = `
100 % of CPU is one CPU. Memory leaves out file caches that nobody has used lately, as Docker does; what has no limit of
its own is limited by the machine. Without --no-stream it goes on until it is interrupted, with --json one array a line.`;

export const addStats = (program: Command): void => {
  const command = program
    .command('stats')
    .description('show what running containers use, every second')
    .argument('[id...]', 'these containers; default: all that run')
    .option('--no-stream', 'once, after a second in which the CPU is measured')
    .option('--json', 'JSON arrays')
    .addHelpText('after', MORE)
    .action(async (ids: readonly string[], options: StatsOptions) => {
      await withClient(command, (client) => stats(client, ids, options));
    });
};

const stats = async (client: Client, ids: readonly string[], options: StatsOptions): Promise<void> => {
  const sampler = new Sampler(client, ids);
  await sampler.look(); // CPU is told by two looks
  if (!options.stream) {
    await pause(EVERY_MS);
    const samples = await sampler.look();
    return print(options.json === true ? json(samples.map(document), { indent: 2 }) : text(samples));
  }
  for (;;) {
    await pause(EVERY_MS);
    const samples = await sampler.look();
    if (options.json === true) await print(json(samples.map(document)));
    else await print(`${process.stdout.isTTY ? FROM_THE_TOP : ''}${text(samples)}`);
  }
};

const text = (samples: readonly Sample[]): string =>
  table(
    ['ID', 'CPU %', 'MEM USAGE / LIMIT', 'MEM %', 'BLOCK I/O', 'PIDS'],
    samples.map(({ id, cpuPercent, memoryPercent, memoryMaxBytes, usage }) =>
      usage === undefined
        ? [id, '--', '-- / --', '--', '-- / --', '--']
        : [
            id,
            cpuPercent === undefined ? '--' : `${cpuPercent.toFixed(2)}%`,
            `${bytes(Number(usage.memoryBytes))} / ${bytes(memoryMaxBytes)}`,
            `${memoryPercent.toFixed(2)}%`,
            `${bytes(Number(usage.readBytes))} / ${bytes(Number(usage.writtenBytes))}`,
            String(usage.pids),
          ],
    ),
  );

const document = ({ id, cpuPercent, memoryPercent, memoryMaxBytes, usage }: Sample): unknown => ({
  id,
  at: usage && formatNanos(usage.atNanos),
  cpuPercent: round(cpuPercent),
  cpuSeconds: usage && Number(usage.cpuNanos) / 1e9,
  memoryBytes: usage?.memoryBytes,
  memoryLimitBytes: usage && memoryMaxBytes,
  memoryPercent: usage && round(memoryPercent),
  readBytes: usage?.readBytes,
  writtenBytes: usage?.writtenBytes,
  pids: usage?.pids,
  pidsLimit: usage?.pidsMax,
});

const round = (value: number | undefined): number | undefined =>
  value === undefined ? undefined : Math.round(value * 100) / 100;
