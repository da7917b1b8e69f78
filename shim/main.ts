import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ownArguments } from '../common/arguments.ts';
import type { BindReply } from '../common/bootstrap.ts';
import { codeOf, invalidArgument, messageOf, notFound } from '../common/errdefs.ts';
import { closeRange } from '../native/index.ts';
import { cleanUp } from './cleanup.ts';
import { type Flags, parseFlags } from './flags.ts';
import { runtimeInfo, versionText } from './info.ts';
import { readLedger } from './ledger.ts';
import { restoreOpenFilesLimit } from './limits.ts';
import { resume } from './resume.ts';
import { runSpare } from './spare.ts';
import { start } from './start.ts';
import { zygote } from './zygote.ts';

/** Where the socket of a spare, or of a zygote, is. Source: common/bootstrap.ts. */
const CONTROL_FD = 3;
/** Highest descriptor number for close_range(2). */
const FD_MAX = 0xffff_ffff;

/** What the executable does, by its first operand. Those that serve stay; the others print and end. */
const main = async (flags: Flags): Promise<void> => {
  if (flags.version) return print(versionText());
  if (flags.info) return print(await runtimeInfo(readStdin()));
  switch (flags.action) {
    case 'start':
      return print(await start(flags, readStdin()));
    case 'delete':
      prepare();
      return print(await cleanUp(flags, (text) => void writeSync(2, `${text}\n`)));
    case 'spare':
      prepare();
      outlive();
      return runSpare(CONTROL_FD);
    case 'zygote': {
      prepare();
      const control = await zygote(CONTROL_FD);
      outlive(); // we are a child of it now
      return runSpare(control);
    }
    case 'resume':
      prepare();
      outlive();
      return adopt(flags.operands[0] ?? '');
    default:
      throw invalidArgument(`unknown command ${JSON.stringify(flags.action)}`);
  }
};

/** Before a runtime is run: nothing of ours but 0–2 may reach it, and its limits are to be those that we were given. */
const prepare = (): void => {
  closeRange(3, FD_MAX, { cloexec: true });
  restoreOpenFilesLimit();
};

/** A container must not notice that somebody is tidying up processes; what ends a shim is Shutdown. */
const outlive = (): void => {
  process.chdir('/');
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
};

/** `resume <shim directory>`: takes up the containers of a shim that is gone, and says so in one line, a BindReply. */
const adopt = async (directory: string): Promise<void> => {
  const ledger = readLedger(join(directory, 'ledger.json'));
  if (ledger === undefined) throw notFound('ledger', directory);
  const reply: BindReply = await resume(ledger, {}).then(
    ({ address }) => ({ address, pid: process.pid }),
    (error: unknown) => ({ code: codeOf(error), error: messageOf(error) }),
  );
  print(`${JSON.stringify(reply)}\n`);
  if ('error' in reply) process.exit(1);
};

const readStdin = (): Uint8Array => {
  try {
    return readFileSync(0);
  } catch {
    return new Uint8Array(); // closed, or a terminal: there are no options
  }
};

const print = (output: string | Uint8Array): void => {
  const bytes = typeof output === 'string' ? Buffer.from(output) : output;
  for (let at = 0; at < bytes.length;) at += writeSync(1, bytes, at);
};

try {
  await main(parseFlags(ownArguments(process.argv)));
} catch (error) {
  writeSync(2, `containerd-shim-holdfast-v1: ${messageOf(error)}`);
  process.exitCode = 1;
}
