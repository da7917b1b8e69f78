import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Terminal } from '../harness/terminal.ts';
import { Cli } from './cli-harness.ts';

const cli = await Cli.start();

test('with -t the container has a terminal of our size, which follows ours', async () => {
  const script = 'trap "stty size" WINCH; stty size; while ! read go; do :; done; tty';
  const terminal = cli.terminal(cli.inRootfs('--rm', '-it', 'sh', '-c', script), { columns: 91, rows: 27 });
  await terminal.shows('27 91');
  terminal.resize(77, 22);
  await terminal.shows('22 77');
  terminal.write('go\r');
  await terminal.shows('/dev/pts/0');
  assert.equal(await terminal.end(), 0);
});

test('keys go to the container, Ctrl-C too', async () => {
  const terminal = cli.terminal(cli.inRootfs('--rm', '-it', 'sh'));
  await terminal.shows('/ # ');
  terminal.write('echo re""ady; cat\r');
  await terminal.shows('ready'); // the shell no longer reads the keys
  terminal.write('\x03');
  await terminal.shows('^C');
  terminal.write('echo sum $((20+22))\r');
  await terminal.shows('sum 42');
  assert.doesNotMatch(terminal.screen, /\r\r/); // newlines come as the container's own terminal made them
  terminal.write('exit 9\r');
  assert.equal(await terminal.end(), 9);
});

test('exec -t gives a terminal in a container that has none', async () => {
  await cli.ok(...cli.inRootfs('-d', '--name', 'host', 'sleep', '100'));
  const terminal = cli.terminal(['exec', '-it', 'host', 'sh', '-c', 'stty size; read line; echo "<$line>"; exit 4'], {
    columns: 66,
    rows: 33,
  });
  await terminal.shows('33 66');
  terminal.write('kelp\r');
  await terminal.shows('<kelp>');
  assert.equal(await terminal.end(), 4);
  await cli.ok('rm', '-f', 'host');
});

test('our own terminal is as it was afterwards', async () => {
  const run = cli.line(cli.inRootfs('--rm', '-it', 'true'));
  const script = `stty -g >"$0.1"; ${run}; stty -g >"$0.2"; cmp "$0.1" "$0.2" && echo same`;
  const terminal = new Terminal(['sh', '-c', script, cli.bed.path('stty')]);
  await terminal.shows('same');
  assert.equal(await terminal.end(), 0);
});
