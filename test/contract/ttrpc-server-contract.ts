import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { codes } from '../../common/errdefs.ts';
import { FRAME_BYTES_MAX, frameTypes } from '../../common/ttrpc/frame.ts';
import { Request } from '../../proto/gen/ttrpc/ttrpc.ts';
import { LIMIT, RawPeer } from '../unit/ttrpc-harness.ts';

/** A server to hold to the contract, with a call that it answers. */
export interface ServerUnderTest {
  readonly service: string;
  readonly method: string;
  readonly payload: Buffer;
  /** A new connection to it. */
  connect(t: TestContext): Promise<Socket>;
}

/** What any ttrpc server does with calls and with nonsense, ours and Go's of versions 1.1 and later. */
export const ttrpcServerContract = (name: string, server: ServerUnderTest): void => {
  const promise = (what: string, body: (peer: RawPeer, t: TestContext) => Promise<void>): void => {
    test(`${name}: ${what}`, LIMIT, async (t) => body(new RawPeer(await server.connect(t)), t));
  };
  const call = (request: Partial<Request> = {}): Partial<Request> => ({ ...server, ...request });
  const works = async (peer: RawPeer, streamId: number): Promise<void> => {
    peer.request(streamId, call());
    assert.equal((await peer.answer(streamId)).code, codes.ok);
  };

  promise('calls are answered on their streams', async (peer) => {
    await works(peer, 1);
    await works(peer, 3);
    await works(peer, 1001);
  });

  promise('many requests in one write are all answered', async (peer) => {
    for (let id = 1; id < 200; id += 2) peer.request(id, call());
    const answered = new Set<number>();
    for (let id = 1; id < 200; id += 2) answered.add((await peer.frame()).streamId);
    assert.equal(answered.size, 100);
  });

  promise('an unknown service is Unimplemented', async (peer) => {
    peer.request(1, call({ service: 'no.Such' }));
    assert.equal((await peer.answer(1)).code, codes.unimplemented);
    await works(peer, 3);
  });

  promise('an unknown method is Unimplemented', async (peer) => {
    peer.request(1, call({ method: 'NoSuch' }));
    assert.equal((await peer.answer(1)).code, codes.unimplemented);
    await works(peer, 3);
  });

  promise('a request of no length names no service: Unimplemented', async (peer) => {
    peer.send({ streamId: 1 });
    assert.equal((await peer.answer(1)).code, codes.unimplemented);
    await works(peer, 3);
  });

  promise('an even stream id is InvalidArgument on that stream', async (peer) => {
    for (const id of [0, 2, 4_000_000_000]) {
      peer.request(id, call());
      assert.equal((await peer.answer(id)).code, codes.invalidArgument);
    }
    await works(peer, 1);
  });

  promise('a request that is no protobuf is InvalidArgument', async (peer) => {
    peer.send({ streamId: 1, payload: Buffer.from('\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff', 'latin1') });
    assert.equal((await peer.answer(1)).code, codes.invalidArgument);
    await works(peer, 3);
  });

  promise('a message that is no protobuf is Internal', async (peer) => {
    peer.request(1, call({ payload: Buffer.from([0x0a, 0xff]) }));
    assert.equal((await peer.answer(1)).code, codes.internal);
    await works(peer, 3);
  });

  promise('a message of an unknown type is passed over', async (peer) => {
    for (const type of [0, 4, 255]) peer.send({ streamId: 1, type, payload: Buffer.from('later') });
    peer.send({ streamId: 1, type: frameTypes.response });
    await works(peer, 3);
  });

  promise('an oversized message is read over and ResourceExhausted', async (peer) => {
    peer.send({ streamId: 1, payload: Buffer.alloc(FRAME_BYTES_MAX + 1) });
    const { code, message } = await peer.answer(1);
    assert.equal(code, codes.resourceExhausted);
    assert.equal(message, `message length ${FRAME_BYTES_MAX + 1} exceed maximum message size of ${FRAME_BYTES_MAX}`);
    await works(peer, 3);
  });

  promise('a timeout that has passed is DeadlineExceeded or too late to matter', async (peer) => {
    peer.request(1, call({ timeoutNano: -1n }));
    assert.ok([codes.ok, codes.deadlineExceeded].includes((await peer.answer(1)).code as 0));
    await works(peer, 3);
  });

  promise('metadata with any key disturbs no call', async (peer) => {
    const metadata = ['__proto__', 'constructor', '', 'UPPER'].map((key) => ({ key, value: 'x' }));
    peer.request(1, call({ metadata }));
    assert.equal((await peer.answer(1)).code, codes.ok);
  });

  promise(
    'a header that is cut off by the end of the connection is the end of that connection only',
    async (peer, t) => {
      peer.bytes(Buffer.alloc(5));
      peer.socket.end();
      await peer.closed;
      await works(new RawPeer(await server.connect(t)), 1);
    },
  );
};
