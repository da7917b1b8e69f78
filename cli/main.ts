import { ownArguments } from '../common/arguments.ts';
import { explain } from './failure.ts';
import { verbArguments } from './parse/verb-arguments.ts';
import { makeProgram } from './program.ts';

// Whoever writes learns of it; without a listener it would end us in the middle.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

const program = makeProgram();
try {
  await program.parseAsync(verbArguments(ownArguments(process.argv)), { from: 'user' });
} catch (error) {
  const { words, status } = explain(error, program.args[0]);
  if (words !== '') process.stderr.write(`holdfast: ${words}\n`);
  process.exitCode = status;
}
// A stdin that was read keeps the process alive, whether there is more to come or not.
process.exit();
