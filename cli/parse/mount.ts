import { statSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { InvalidArgumentError } from 'commander';
import type { MountSpec } from '../../client/spec/runtime-spec.ts';

/** `SOURCE:TARGET[:ro]`, Docker's -v for a directory or file of this machine. */
export const parseVolume = (text: string): MountSpec => {
  const [source = '', target = '', mode = 'rw', ...rest] = text.split(':');
  if (source === '' || target === '' || rest.length > 0)
    throw new InvalidArgumentError('It is SOURCE:TARGET or SOURCE:TARGET:ro.');
  if (!source.startsWith('/') && !source.startsWith('.'))
    throw new InvalidArgumentError('There are no named volumes: give a path.');
  if (mode !== 'ro' && mode !== 'rw')
    throw new InvalidArgumentError(`Behind the second colon stands ro or rw, not ${mode}.`);
  return bind(source, target, ['rbind', 'rprivate', mode]);
};

/**
 * `type=bind,source=/a,target=/b,readonly` as Docker writes it, or `type=bind,src=/a,dst=/b,options=rbind:ro` as ctr
 * does. The type may be tmpfs too, which has no source.
 */
export const parseMount = (text: string): MountSpec => {
  const fields = new Map(text.split(',').map(field));
  const target = fields.get('target') ?? fields.get('destination') ?? fields.get('dst') ?? '';
  const source = fields.get('source') ?? fields.get('src') ?? '';
  const isReadonly = ['readonly', 'ro'].some((name) => ['', 'true', '1'].includes(fields.get(name) ?? 'no'));
  const options = [...(fields.get('options')?.split(':') ?? []), ...(isReadonly ? ['ro'] : [])];
  const unknown = [...fields.keys()].find((name) => !FIELDS.has(name));
  if (unknown !== undefined) throw new InvalidArgumentError(`It has no field "${unknown}".`);
  switch (fields.get('type') ?? 'bind') {
    case 'bind':
      return bind(
        source,
        target,
        options.some((option) => /^r?bind$/.test(option)) ? options : ['rbind', 'rprivate', ...options],
      );
    case 'tmpfs':
      return { destination: checked(target), type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', ...options] };
    default:
      throw new InvalidArgumentError('Its type is bind or tmpfs.');
  }
};

const FIELDS: ReadonlySet<string> = new Set('type source src target destination dst options readonly ro'.split(' '));

const field = (text: string): [string, string] => {
  const at = text.indexOf('=');
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
};

const bind = (from: string, to: string, options: string[]): MountSpec => {
  const source = resolve(from);
  // The runtime would say it too, with many words around it.
  if (from === '' || statSync(source, { throwIfNoEntry: false }) === undefined) {
    throw new InvalidArgumentError(from === '' ? 'It has no source.' : `There is no ${source} on this machine.`);
  }
  return { destination: checked(to), type: 'bind', source, options };
};

const checked = (target: string): string => {
  if (!isAbsolute(target)) throw new InvalidArgumentError('Its target is an absolute path in the container.');
  return target;
};
