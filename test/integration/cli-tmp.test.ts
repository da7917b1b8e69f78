import { test } from 'node:test';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Terminal } from '../harness/terminal.ts';
import { Cli } from './cli-harness.ts';
const cli = await Cli.start();
test('loop', async () => {
  await cli.ok(...cli.inRootfs('-d', '--name', 'host', 'sleep', '1000'));
  const tally: Record<string, number> = {};
  for (let i = 0; i < 150; i += 1) {
    const script = 'echo go; read line; echo "<$line>"; exit 4';
    const file = cli.bed.path(`out${i}`);
    const terminal = new Terminal([
      'sh',
      '-c',
      `${cli.line(['exec', '-it', 'host', 'sh', '-c', script])} | tee ${file}`,
    ]);
    await terminal.shows('go', 5000);
    terminal.write('kelp\r');
    const began = performance.now();
    await terminal.end(10000);
    await new Promise((r) => setTimeout(r, 100));
    const seen = terminal.screen.includes('<kelp>');
    const wrote = readFileSync(file, 'utf8').includes('<kelp>');
    const key = `wrote ${wrote} seen ${seen}`;
    tally[key] = (tally[key] ?? 0) + 1;
    if (!wrote || !seen) {
      console.log(key, Math.round(performance.now() - began), JSON.stringify(terminal.screen));
    }
  }
  console.log(tally);
});
