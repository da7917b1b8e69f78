import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type ExecEvent,
  execTransitions,
  nextExecStatus,
  nextTaskStatus,
  type TaskEvent,
  taskTransitions,
} from '../../daemon/tasks/status.ts';
import type { TaskStatus } from '../../daemon/store/tables/tasks.ts';
import type { ExecStatus } from '../../daemon/store/tables/execs.ts';

const events: TaskEvent[] = ['create', 'start', 'pause', 'resume', 'exit'];
const execEvents: ExecEvent[] = ['add', 'start', 'fail', 'exit'];

test('in whatever order news of a task comes, once it has ended it stays so', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...events)), (news) => {
      let status: TaskStatus = 'creating';
      let ended = false;
      for (const event of news) {
        status = nextTaskStatus(status, event);
        assert.ok(status in taskTransitions);
        if (ended) assert.equal(status, 'stopped');
        ended ||= status === 'stopped';
      }
    }),
  );
});

test('in whatever order news of an exec comes, once it has ended or failed it stays so', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...execEvents)), (news) => {
      let status: ExecStatus = 'adding';
      let ended = false;
      for (const event of news) {
        status = nextExecStatus(status, event);
        assert.ok(status in execTransitions);
        if (ended) assert.equal(status, 'stopped');
        ended ||= status === 'stopped';
      }
    }),
  );
});

test('a task that is being created is shown by its create alone', () => {
  for (const event of events.filter((one) => one !== 'create'))
    assert.equal(nextTaskStatus('creating', event), 'creating');
});
