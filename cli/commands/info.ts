import type { Command } from 'commander';
import type { Client } from '../../client/connect.ts';
import { gatherInfo, type Info } from '../gather-info.ts';
import { print } from '../print.ts';
import { bytes, duration } from '../render/human.ts';
import { json } from '../render/json.ts';
import { plain } from '../render/plain.ts';
import { clientOf } from '../session.ts';

export const addInfo = (program: Command): void => {
  const command = program
    .command('info')
    .description('show what the daemon is, has and uses')
    .option('--json', 'a JSON document')
    .action(async (options: { readonly json?: true }) => {
      await using client: Client = clientOf(command);
      const info = await gatherInfo(client);
      await print(options.json === true ? json(info, { indent: 2 }) : text(info));
    });
};

const text = ({ client, daemon, namespaces, plugins }: Info): string => {
  const { process, serving } = daemon;
  const sum = (of: 'containers' | 'running'): number => namespaces.reduce((total, one) => total + one[of], 0);
  const broken = plugins.filter(({ error }) => error !== undefined);
  const lines: [string, string][] = [
    ['Client', client.version],
    ['Daemon', `${daemon.version} (${daemon.revision})`],
    ['Address', daemon.address],
    ...optional('Root', daemon.root),
    ['UUID', daemon.uuid],
    ['Serving', serving ? 'yes' : 'not yet: its shims are still being loaded'],
    ...optional(
      'Process',
      process && `${process.pid}, up ${duration(BigInt(process.elapsedMs) * 1_000_000n).toLowerCase()}`,
    ),
    ...optional('Memory', process && bytes(process.memoryBytes)),
    ...optional('CPU', process && `${process.cpuPercent.toFixed(1)} % since its start`),
    ['Containers', `${sum('containers')}, ${sum('running')} of them running`],
    ...namespaces.map((one): [string, string] => [
      `  ${one.name}`,
      `${one.containers}, ${one.running} of them running`,
    ]),
    ['Plugins', `${plugins.length}${broken.length === 0 ? '' : `, ${broken.length} of them do not work:`}`],
    ...broken.map(({ type, id, error }): [string, string] => [`  ${type}.${id}`, error ?? '']),
  ];
  const width = Math.max(...lines.map(([name]) => name.length)) + 2;
  return lines.map(([name, value]) => `${`${plain(name)}:`.padEnd(width)}${plain(value)}\n`).join('');
};

const optional = (name: string, value: string | undefined): [string, string][] =>
  value === undefined ? [] : [[name, value]];
