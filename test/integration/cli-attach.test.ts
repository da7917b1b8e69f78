import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../harness/wait.ts';
import { Terminal } from '../harness/terminal.ts';
import { Cli } from './cli-harness.ts';

const cli = await Cli.start();

const DETACH = '\x10\x11';

/** Waits until the shell of a container asks for a command. */
const prompt = (terminal: Terminal): Promise<void> => terminal.shows('/ # ');

test('ctrl-p ctrl-q leaves a container, attach goes back to it, and its exit status is ours then', async () => {
  const first = cli.terminal(cli.inRootfs('-it', '--name', 'desk', 'sh'));
  await prompt(first);
  first.write('x=41\r');
  first.write(DETACH);
  await first.shows('holdfast: left desk, which goes on; "holdfast attach desk" goes back to it');
  assert.equal(await first.end(), 0);
  const second = cli.terminal(['attach', 'desk']);
  await prompt(second);
  second.write('echo sum $((x+1)); exit 7\r');
  await second.shows('sum 42');
  assert.equal(await second.end(), 7);
  await cli.ok('rm', 'desk');
});

test('keys of one’s own leave it, and then ctrl-p is the container’s', async () => {
  const terminal = cli.terminal(
    cli.inRootfs(
      '-it',
      '--detach-keys',
      'ctrl-],x',
      '--name',
      'own',
      'sh',
      '-c',
      'stty raw -echo; echo go; head -c 1 | od -c; cat',
    ),
  );
  await terminal.shows('go');
  terminal.write('\x10');
  await terminal.shows('020');
  terminal.write('\x1dx');
  assert.equal(await terminal.end(), 0);
  assert.match(await cli.ok('ps'), /own .* Up /);
  await cli.ok('rm', '-f', 'own');
});

test('a container that was run with --rm goes when it ends, whoever is attached then', async () => {
  const first = cli.terminal(cli.inRootfs('--rm', '-it', '--name', 'brief', 'sh'));
  await prompt(first);
  const [document] = JSON.parse(await cli.ok('inspect', 'brief'));
  first.write(DETACH);
  assert.equal(await first.end(), 0);
  assert.equal(await cli.ok('ps', '-q'), 'brief\n');
  const second = cli.terminal(['attach', 'brief']);
  await prompt(second);
  second.write('exit\r');
  assert.equal(await second.end(), 0);
  assert.equal(await cli.ok('ps', '-aq'), '');
  assert.ok(!existsSync(dirname(document.task.stdout)), 'its FIFOs are gone too');
});

test('attach gives the container’s terminal the size of ours, now and when it changes', async () => {
  await cli.ok(
    ...cli.inRootfs('-dit', '--name', 'sized', 'sh', '-c', 'trap "stty size" WINCH; while :; do read x; done'),
  );
  const terminal = cli.terminal(['attach', 'sized'], { columns: 91, rows: 27 });
  await terminal.shows('27 91');
  terminal.resize(77, 22);
  await terminal.shows('22 77');
  terminal.write(DETACH);
  assert.equal(await terminal.end(), 0);
  await cli.ok('rm', '-f', 'sized');
});

test('Ctrl-C reaches the process of the terminal that we attached to', async () => {
  const script = 'trap "echo caught; exit 3" INT; trap "echo here" WINCH; while :; do sleep 0.05; done';
  await cli.ok(...cli.inRootfs('-dit', '--name', 'busy', 'sh', '-c', script));
  const terminal = cli.terminal(['attach', 'busy']);
  await terminal.shows('here'); // it has our size
  terminal.write('\x03');
  await terminal.shows('caught');
  assert.equal(await terminal.end(), 3);
  await cli.ok('rm', 'busy');
});

test('a detached container with -i takes input from whoever attaches, and several may look on', async () => {
  await cli.ok(...cli.inRootfs('-di', '--name', 'ask', 'sh', '-c', 'while read line; do echo "<$line>"; done'));
  const onlooker = cli.session(['attach', '--no-stdin', 'ask']);
  const session = cli.session(['attach', 'ask']);
  await eventually(() => {
    session.write('one\n');
    return [session, onlooker].every(({ stdout }) => stdout.includes('<one>')); // both are there
  });
  session.write('two\n');
  session.closeStdin();
  for (const one of [session, onlooker]) {
    const { status, stdout } = await one.end();
    assert.equal(status, 0);
    assert.match(stdout, /<one>\n<two>\n$/);
  }
  assert.match(await cli.ok('logs', 'ask'), /^(<one>\n)+<two>\n$/);
  await cli.ok('rm', 'ask');
});

test('signals that attach gets, the container gets', async () => {
  const script = 'trap "echo hup" HUP; trap "echo term; exit 9" TERM; while :; do echo on; sleep 0.05; done';
  await cli.ok(...cli.inRootfs('-d', '--name', 'heard', 'sh', '-c', script));
  const session = cli.session(['attach', 'heard']);
  await session.says('on');
  session.signal('SIGHUP');
  await session.says('hup');
  session.signal('SIGTERM');
  const { status, stdout } = await session.end();
  assert.equal(status, 9);
  assert.match(stdout, /term\n$/);
  await cli.ok('rm', 'heard');
});

test('the third SIGINT leaves a container with input that will not hear, and its input stays open', async () => {
  const script = 'trap "echo heard" INT; while :; do read line && echo "<$line>"; done';
  await cli.ok(...cli.inRootfs('-di', '--name', 'deaf', 'sh', '-c', script));
  const session = cli.session(['attach', 'deaf']);
  session.write('one\n');
  await session.says('<one>');
  for (let count = 1; count < 3; count += 1) {
    session.signal('SIGINT');
    await session.says(new RegExp(`(heard\n){${count}}`)); // equal signals that wait are one
  }
  session.signal('SIGINT');
  const { status, stderr } = await session.end();
  assert.deepEqual([status, stderr], [125, 'holdfast: left deaf after 3 signals\n']);
  const again = cli.session(['attach', 'deaf']);
  again.write('two\n');
  await again.says('<two>');
  await cli.ok('rm', '-f', 'deaf');
  assert.equal((await again.end()).status, 137);
});

test('the output of a container goes to one reader: a second attach says who the first is', async () => {
  const first = cli.terminal(cli.inRootfs('-it', '--name', 'taken', 'sh'));
  await prompt(first);
  const { status, stderr } = await cli.run(['attach', 'taken']);
  assert.equal(status, 125);
  assert.match(stderr, /^holdfast: \S+ \(process \d+\) is attached to container "taken": two would each get a part/);
  first.write('echo still $((40+2))\r');
  await first.shows('still 42');
  first.write('exit\r');
  await first.end();
  await cli.ok('rm', 'taken');
});

test('attach over a kill -9 and a start of the daemon', async () => {
  await cli.ok(
    ...cli.inRootfs('-di', '--name', 'steady', 'sh', '-c', 'read a; echo "<$a>"; read b; echo "<$b>"; exit 4'),
  );
  const session = cli.session(['attach', 'steady']);
  session.write('one\n');
  await session.says('<one>');
  await cli.daemon.kill9();
  session.write('two\n');
  await session.says('<two>');
  await cli.daemon.start();
  assert.equal((await session.end()).status, 4);
  await cli.ok('rm', 'steady');
});

test('what has no output of its own, has ended, or is not there, says so', async () => {
  await cli.daemon.ctr.ok('run', '-d', '--null-io', '--rootfs', cli.rootfs, 'mute', '/bin/sleep', '100');
  await cli.ok(...cli.inRootfs('--name', 'over', 'true'));
  const said = async (id: string): Promise<string> => {
    const { status, stderr } = await cli.run(['attach', id]);
    assert.equal(status, 125);
    return stderr;
  };
  assert.match(await said('mute'), /the output of container "mute" is dropped: there is nothing to attach to/);
  assert.match(await said('over'), /container "over" has ended: "holdfast ps -a" shows how/);
  assert.match(await said('mut'), /there is no container "mut" in namespace .*: did you mean "mute"\?/);
  await cli.ok('rm', '-f', 'mute', 'over');
});

test('our terminal is as it was after the keys that leave, after an error and after signals that leave', async () => {
  const place = cli.bed.path('stty');
  const check = (...args: readonly string[]): Terminal => {
    const run = `sh -c 'echo $$ >"$0.pid"; exec "$@"' "$0" ${cli.line(cli.inRootfs('-it', ...args))}`;
    return new Terminal(['sh', '-c', `stty -g >"$0"; ${run}; [ "$(stty -g)" = "$(cat "$0")" ] && echo sa""me`, place]);
  };
  const left = check('--name', 'left', 'sh');
  await prompt(left);
  left.write(DETACH);
  await left.shows('same');
  await check('--rm', 'nosuchprogram').shows('same');
  const struck = check('--rm', 'sh', '-c', 'trap "echo heard" TERM; echo up; while :; do sleep 0.05; done');
  await struck.shows('up');
  const pid = Number(readFileSync(`${place}.pid`, 'utf8'));
  for (let times = 1; times <= 3; times += 1) {
    process.kill(pid, 'SIGTERM');
    if (times < 3) await struck.shows(new RegExp(`(heard[^]*){${times}}`));
  }
  await struck.shows('same');
  await cli.ok('rm', '-f', 'left');
});
