import type { Command } from 'commander';
import type { Client } from '../../client/connect.ts';
import { formatNanos, nowWholeMs } from '../../common/timestamp.ts';
import { alive } from '../alive.ts';
import { type ContainerRow, listContainers } from '../list-containers.ts';
import { print } from '../print.ts';
import { duration } from '../render/human.ts';
import { json } from '../render/json.ts';
import { statusWords } from '../render/status.ts';
import { shorten, table } from '../render/table.ts';
import { withClient } from '../session.ts';

interface PsOptions {
  readonly all?: true;
  readonly quiet?: true;
  readonly json?: true;
  readonly trunc: boolean;
}

/** Longest text in a column that is cut, characters. Source: Docker's for commands. */
const COMMAND_LENGTH = 20;
const IMAGE_LENGTH = 30;

export const addPs = (program: Command): void => {
  const command = program
    .command('ps')
    .description('list containers that run')
    .option('-a, --all', 'list all, those that have ended or never ran too')
    .option('-q, --quiet', 'only the ids')
    .option('--no-trunc', 'cut nothing off')
    .option('--json', 'a JSON array; with -q of the ids')
    .action(async (options: PsOptions) => {
      await withClient(command, (client) => ps(client, options));
    });
};

const ps = async (client: Client, { all, quiet, json: asJson, trunc }: PsOptions): Promise<void> => {
  const isShown = ({ state }: ContainerRow): boolean => all === true || (state !== 'none' && alive.has(state));
  const rows = (await listContainers(client)).filter(isShown);
  if (asJson === true)
    return print(json(quiet === true ? rows.map(({ id }) => id) : rows.map(document), { indent: 2 }));
  if (quiet === true) return print(rows.map(({ id }) => `${id}\n`).join(''));
  const now = nowWholeMs();
  const cut = (text: string, length: number): string => (trunc ? shorten(text, length) : text);
  const cells = rows.map((row) => [
    row.id,
    cut(row.image, IMAGE_LENGTH),
    `"${cut(row.command.join(' '), COMMAND_LENGTH)}"`,
    row.createdAtNanos === 0n ? '' : `${duration(now - row.createdAtNanos)} ago`,
    statusWords(row, now),
    row.state === 'stopped' || row.pid === 0 ? '' : String(row.pid),
  ]);
  return print(table(['ID', 'IMAGE OR ROOTFS', 'COMMAND', 'CREATED', 'STATUS', 'PID'], cells));
};

const document = (row: ContainerRow): unknown => ({
  id: row.id,
  image: row.image,
  command: row.command,
  state: row.state,
  status: statusWords(row, nowWholeMs()),
  pid: row.state === 'stopped' ? 0 : row.pid,
  exitStatus: row.exit?.status,
  createdAt: time(row.createdAtNanos),
  startedAt: time(row.startedAtNanos),
  exitedAt: time(row.exit?.atNanos),
  labels: row.labels,
});

const time = (nanos: bigint | undefined): string | undefined =>
  nanos === undefined || nanos === 0n ? undefined : formatNanos(nanos);
