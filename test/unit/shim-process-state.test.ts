import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CodedError, codes } from '../../common/errdefs.ts';
import {
  execTransitions,
  type InitEvent,
  initTransitions,
  type InitState,
  nextExecState,
  nextInitState,
} from '../../shim/process-state.ts';

const events: InitEvent[] = ['start', 'pause', 'resume', 'exec', 'update', 'checkpoint', 'exit', 'delete'];

test('whatever is asked of a container, its state stays in the table and a refusal has a code', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<InitState>('created', 'restorable'),
      fc.array(fc.constantFrom(...events)),
      (first, asked) => {
        let state = first;
        for (const event of asked) {
          try {
            const next = nextInitState(state, event);
            assert.ok(next in initTransitions);
            state = next;
          } catch (error) {
            assert.ok(error instanceof CodedError);
            const allowed: number[] = [codes.unknown, codes.failedPrecondition, codes.notFound];
            assert.ok(allowed.includes(error.code));
          }
        }
      },
    ),
  );
});

test('a process that has ended never runs again', () => {
  for (const state of ['stopped', 'deleted'] as const) {
    assert.deepEqual(
      Object.values(initTransitions[state]).filter((next) => next !== 'deleted'),
      [],
    );
    assert.deepEqual(
      Object.values(execTransitions[state]).filter((next) => next !== 'deleted'),
      [],
    );
  }
});

test('refusals use the words of the runc shim', () => {
  const words: [InitState, InitEvent, RegExp][] = [
    ['running', 'delete', /^cannot delete a running process: failed precondition$/],
    ['paused', 'delete', /^cannot delete a paused process: failed precondition$/],
    ['running', 'start', /^cannot start a running process$/],
    ['stopped', 'start', /^cannot start a stopped process$/],
    ['created', 'pause', /^cannot pause task in created state$/],
    ['paused', 'pause', /^cannot pause a paused container$/],
    ['stopped', 'update', /^cannot update a stopped container$/],
    ['running', 'resume', /^cannot resume a running process$/],
    ['created', 'checkpoint', /^cannot checkpoint a task in created state$/],
    ['stopped', 'exec', /^cannot exec in a stopped state$/],
    ['deleted', 'delete', /^cannot delete a deleted process: not found$/],
  ];
  for (const [state, event, message] of words) assert.throws(() => nextInitState(state, event), { message });
});

test('an exec whose start was refused can be deleted and nothing else', () => {
  assert.equal(nextExecState(nextExecState('created', 'fail'), 'delete'), 'deleted');
  assert.throws(() => nextExecState('stopped', 'start'), /cannot start a stopped process/);
});
