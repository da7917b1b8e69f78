// What native-process.test.ts runs in a process of its own, because it becomes another program or dies.
import { fstatSync, openSync, readFileSync, readSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  duplicate,
  ErrnoError,
  execve,
  isSubreaper,
  setCloseOnExec,
  setParentDeathSignal,
  setSubreaper,
} from '../../native/index.ts';
import { isCloseOnExec } from './native-harness.ts';

const [, self = '', task, ...rest] = process.argv;
const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);

const openKept = (): number => {
  const path = join(tmpdir(), `holdfast-native-${process.pid}`);
  writeFileSync(path, 'kept');
  const fd = openSync(path, 'r');
  unlinkSync(path);
  return fd;
};

const isOpen = (fd: number): boolean => {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
};

const signals = (): string => readFileSync('/proc/self/status', 'utf8').replace(/^(?!Sig(Blk|Ign)).*\n/gm, '');

const tasks: Record<string, () => void> = {
  death: () => {
    setParentDeathSignal(9);
    console.log(process.pid);
    setTimeout(() => undefined, 30_000);
  },
  exec: () => {
    setSubreaper(true);
    const kept = openKept();
    // Above a gap, and inheritable: Node's own marking at start would have missed it.
    let stray = kept;
    for (let copies = 0; copies < 40; copies += 1) stray = duplicate(kept);
    setCloseOnExec(stray, false);
    const argv = [
      process.execPath,
      self,
      'exec-arrived',
      String(process.pid),
      String(kept),
      String(stray),
      'one argument',
    ];
    execve(process.execPath, argv, environment, [kept]);
  },
  'exec-arrived': () => {
    const [pid, kept = '', stray, argument] = rest;
    const buffer = Buffer.alloc(10);
    const length = readSync(Number(kept), buffer);
    console.log(
      JSON.stringify({
        samePid: process.pid === Number(pid),
        subreaper: isSubreaper(),
        kept: buffer.toString('utf8', 0, length),
        given: !isOpen(Number(stray)),
        argument,
      }),
    );
  },
  signals: () => execve('/bin/grep', ['grep', 'Sig', '/proc/self/status'], [], []),
  environment: () => execve('/usr/bin/env', ['env'], ['ONLY=this', 'EMPTY='], []),
  'exec-fails': () => {
    const before = signals();
    const kept = openKept();
    try {
      execve('/nowhere/at-all', ['x'], [], [kept]);
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      const { errnoName, code } = error;
      console.log(
        JSON.stringify({ errnoName, code, sameSignals: before === signals(), closeOnExec: isCloseOnExec(kept) }),
      );
    }
  },
};

tasks[task ?? '']?.();
