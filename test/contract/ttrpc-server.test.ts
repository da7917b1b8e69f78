import { once } from 'node:events';
import { connect } from 'node:net';
import { serve } from '../unit/ttrpc-harness.ts';
import { ttrpcServerContract } from './ttrpc-server-contract.ts';

ttrpcServerContract('our server', {
  service: 'test.Words',
  method: 'Echo',
  payload: Buffer.alloc(0),
  connect: async (t) => {
    const socket = connect((await serve(t)).path);
    await once(socket, 'connect');
    t.after(() => socket.destroy());
    return socket;
  },
});
