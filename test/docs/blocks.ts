import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../harness/repository.ts';

/** The commands of a document: its blocks of `sh`, in order. */
export const shellBlocks = (document: string): string[] => {
  const text = readFileSync(join(repository, document), 'utf8');
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block);
};

/** What is set as code in running text. */
export const codeSpans = (document: string): string[] => {
  const text = readFileSync(join(repository, document), 'utf8').replaceAll(/^```.*?^```$/gms, '');
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);
};
