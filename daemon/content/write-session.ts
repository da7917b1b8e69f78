import { CodedError, codes, unknownError } from '../../common/errdefs.ts';
import { timestampFromNanos } from '../../common/timestamp.ts';
import {
  WriteAction,
  type WriteContentRequest,
  type WriteContentResponse,
} from '../../proto/gen/containerd/services/content/v1/content.ts';
import type { Holder } from '../leases/protect.ts';
import { abortIngest } from './abort.ts';
import { openWriter } from './open.ts';
import type { ContentParts } from './parts.ts';
import type { ContentWriter } from './writer.ts';

/**
 * A Write call: each request gets its response, until one commits or the client has no more. The ingest stays unless it
 * was committed.
 */
export async function* writeSession(
  parts: ContentParts,
  holder: Holder,
  requests: AsyncIterable<WriteContentRequest>,
  signal: AbortSignal,
): AsyncGenerator<WriteContentResponse> {
  const incoming = requests[Symbol.asyncIterator]();
  let request = await next(incoming, signal);
  if (request === undefined) throw unknownError('EOF');
  const { ref } = request;
  if (ref === '') throw new CodedError(codes.invalidArgument, 'first message must have a reference');
  let { total, expected } = request;
  let told = UNTOLD;

  const writer = await openWriter(parts, holder, { ref, total, expected });
  try {
    while (request !== undefined) {
      if (request.expected !== '') {
        ({ expected } = request);
        if (parts.content.find(holder.namespace, expected) !== undefined) {
          await writer.close();
          await abortIngest(parts, holder, ref);
          throw new CodedError(codes.alreadyExists, `blob with expected digest ${expected} exists`);
        }
      }
      if (request.total > 0n) ({ total } = request);
      if (request.action === WriteAction.STAT) told = timesOf(writer, total);
      yield { ...told, ...(await answer(writer, request, { total, expected })) };
      if (request.action === WriteAction.COMMIT) return;
      request = await next(incoming, signal);
    }
  } finally {
    await writer.close();
  }
}

/** What a client has asked for with STAT stays in the responses that follow. */
type Told = Pick<WriteContentResponse, 'startedAt' | 'updatedAt' | 'total'>;

const UNTOLD: Told = { startedAt: undefined, updatedAt: undefined, total: 0n };

const timesOf = ({ status }: ContentWriter, total: bigint): Told => ({
  startedAt: timestampFromNanos(status.startedAt),
  updatedAt: timestampFromNanos(status.updatedAt),
  total,
});

/** What the requests so far have said of the blob. */
interface Expectation {
  readonly total: bigint;
  readonly expected: string;
}

const answer = async (
  writer: ContentWriter,
  request: WriteContentRequest,
  { total, expected }: Expectation,
): Promise<Omit<WriteContentResponse, keyof Told>> => {
  const { action, labels } = request;
  if (action === WriteAction.WRITE || action === WriteAction.COMMIT) await append(writer, request);
  const { offset } = writer.status;
  const digest = action === WriteAction.COMMIT ? await writer.commit({ size: total, expected, labels }) : writer.digest;
  return { action, offset, digest };
};

/** An offset of 0 behind the beginning begins anew; any other must be where the writer is. */
const append = async (writer: ContentWriter, { offset, data }: WriteContentRequest): Promise<void> => {
  const at = writer.status.offset;
  if (offset > 0n && offset !== at) {
    throw new CodedError(codes.outOfRange, `write @${offset} must occur at current offset ${at}`);
  }
  if (offset === 0n && at > 0n) await writer.truncate();
  if (data.length > 0) await writer.write(data);
};

/** The next request; undefined: the client has no more. Rejects with the signal's reason. */
const next = async <T>(incoming: AsyncIterator<T>, signal: AbortSignal): Promise<T | undefined> => {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  const coming = incoming.next();
  try {
    signal.throwIfAborted();
    const { done, value } = await Promise.race([coming, aborted]);
    return done === true ? undefined : value;
  } finally {
    signal.removeEventListener('abort', onAbort);
    for (const left of [coming, aborted]) left.catch(() => undefined);
  }
};
