import type { Command } from 'commander';
import { gatherInfo, type Info } from '../gather-info.ts';
import type { Shim } from '../list-shims.ts';
import type { ProcessFigures } from '../process-figures.ts';
import { print } from '../print.ts';
import { bytes, duration } from '../render/human.ts';
import { json } from '../render/json.ts';
import { plain } from '../render/plain.ts';
import { withClient } from '../session.ts';
import { shimDocument } from './shim.ts';

export const addInfo = (program: Command): void => {
  const command = program
    .command('info')
    .description('show what the daemon is, has and uses')
    .option('--json', 'a JSON document')
    .action(async (options: { readonly json?: true }) => {
      const info = await withClient(command, gatherInfo);
      await print(options.json === true ? json(document(info), { indent: 2 }) : text(info));
    });
};

const document = ({ shims, ...rest }: Info): unknown => ({ ...rest, shims: shims.map(shimDocument) });

const text = ({ client, daemon, namespaces, shims, plugins }: Info): string => {
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
    ...optional('Memory', process && memoryWords([process])),
    ...optional('CPU', process && `${process.cpuPercent.toFixed(1)} % since its start`),
    ['Containers', `${sum('containers')}, ${sum('running')} of them running`],
    ...namespaces.map((one): [string, string] => [
      `  ${one.name}`,
      `${one.containers}, ${one.running} of them running`,
    ]),
    ['Shims', shimWords(shims)],
    ['Plugins', `${plugins.length}${broken.length === 0 ? '' : `, ${broken.length} of them do not work:`}`],
    ...broken.map(({ type, id, error }): [string, string] => [`  ${type}.${id}`, error ?? '']),
  ];
  const width = Math.max(...lines.map(([name]) => name.length)) + 2;
  return lines.map(([name, value]) => `${`${plain(name)}:`.padEnd(width)}${plain(value)}\n`).join('');
};

/** `130.2 MiB, 36.1 MiB of it private` */
const memoryWords = (processes: readonly ProcessFigures[]): string => {
  const sum = (of: 'memoryBytes' | 'privateBytes'): number =>
    processes.reduce((total, one) => total + (one[of] ?? 0), 0);
  return `${bytes(sum('memoryBytes'))}, ${bytes(sum('privateBytes'))} of it private`;
};

/** `3 (1 spare), 130.2 MiB, 36.1 MiB of it private` */
const shimWords = (shims: readonly Shim[]): string => {
  const spares = shims.filter(({ containers }) => containers.length === 0).length;
  const processes = shims.map(({ process }) => process).filter((process) => process !== undefined);
  const memory = processes.length === 0 ? '' : `, ${memoryWords(processes)}`;
  return `${shims.length}${spares === 0 ? '' : ` (${spares} spare)`}${memory}`;
};

const optional = (name: string, value: string | undefined): [string, string][] =>
  value === undefined ? [] : [[name, value]];
