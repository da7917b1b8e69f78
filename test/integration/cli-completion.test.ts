import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { exec } from '../harness/exec.ts';
import { Terminal } from '../harness/terminal.ts';
import { Cli } from './cli-harness.ts';

const cli = await Cli.start();

/** A bash that completes our CLI on our daemon. */
const bash = (script: string) => {
  const env = { HOLDFAST_ADDRESS: cli.daemon.address, HOLDFAST_NAMESPACE: cli.daemon.namespace };
  const [program, ...rest] = cli.command([]);
  const line = [program, ...rest.slice(0, rest.indexOf('--address'))].map((word) => `'${word}'`).join(' ');
  const setUp = `holdfast() { ${line} "$@"; }; source <(holdfast completion bash)`;
  return { command: ['bash', '--norc', '--noprofile', '-c', `${setUp}; ${script}`] as const, env };
};

/** What bash would offer for these words, the last of which is at the cursor. */
const offered = async (...words: readonly string[]): Promise<string[]> => {
  const drive = `COMP_WORDS=(holdfast "$@"); COMP_CWORD=$#; _holdfast; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { command, env } = bash(drive);
  const [program, ...args] = command;
  const { status, stdout, stderr } = await exec(program, [...args, 'bash', ...words], { env });
  assert.deepEqual([status, stderr], [0, '']);
  return stdout.split('\n').filter((line) => line !== '');
};

test('bash completes verbs, options and their values', async () => {
  assert.deepEqual(await offered('unp'), ['unpause']);
  assert.deepEqual(await offered('run', '--read'), ['--read-only']);
  assert.deepEqual(await offered('shim', ''), ['ls']);
  assert.deepEqual(await offered('kill', '--signal', 'USR'), ['USR1', 'USR2']);
  assert.deepEqual(await offered('completion', ''), ['bash', 'zsh', 'fish']);
});

test('bash completes the containers that there are now', async () => {
  await cli.ok(...cli.inRootfs('-d', '--name', 'web', 'sleep', '100'));
  await cli.ok(...cli.inRootfs('--name', 'over', 'true'));
  assert.deepEqual(await offered('exec', ''), ['web']);
  assert.deepEqual(new Set(await offered('rm', '')), new Set(['web', 'over']));
  assert.deepEqual(await offered('-n', 'nobody', 'rm', ''), []);
  await cli.ok('rm', '-f', 'web', 'over');
  assert.deepEqual(await offered('rm', ''), []);
});

test('bash completes directories for --rootfs', async () => {
  mkdirSync(cli.bed.path('roots/one'), { recursive: true });
  mkdirSync(cli.bed.path('roots/with blank'), { recursive: true });
  assert.deepEqual(await offered('run', '--rootfs', `${cli.bed.path('roots')}/`), [
    cli.bed.path('roots/one'),
    cli.bed.path('roots/with blank'),
  ]);
});

test('without a daemon nothing is offered, and nothing is said', async () => {
  await cli.daemon.stop();
  assert.deepEqual(await offered('rm', ''), []);
  await cli.daemon.start();
});

test('the tab key completes a container in a real bash', async () => {
  await cli.ok(...cli.inRootfs('-d', '--name', 'webserver', 'sleep', '100'));
  const { command, env } = bash('true');
  const rc = cli.bed.path('bashrc');
  await exec('sh', ['-c', 'printf "%s\\n" "$1" >"$0"', rc, `PS1='ready> '\n${command[4].replace(/; true$/, '')}`]);
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const terminal = new Terminal(['env', ...variables, 'bash', '--noprofile', '--rcfile', rc, '-i']);
  await terminal.shows('ready> ');
  terminal.write('holdfast sto\tweb\t');
  await terminal.shows('holdfast stop webserver ');
  terminal.write('-t 0\r');
  await terminal.shows('\rwebserver\r\n'); // what the verb prints
  terminal.write('exit\r');
  assert.equal(await terminal.end(), 0);
  await cli.ok('rm', 'webserver');
});
