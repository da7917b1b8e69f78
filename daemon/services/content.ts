import { digestFault } from '../../common/digest.ts';
import { about, CodedError, codes } from '../../common/errdefs.ts';
import { type Fields, mapField, parseFilters } from '../../common/filters.ts';
import { requireNamespace } from '../../common/namespace.ts';
import { timestampFromNanos } from '../../common/timestamp.ts';
import { ContentDefinition, type Info, type Status } from '../../proto/gen/containerd/services/content/v1/content.ts';
import { type Call, type Service, service } from '../call.ts';
import { abortIngest } from '../content/abort.ts';
import type { ContentParts } from '../content/parts.ts';
import { readContent } from '../content/read.ts';
import { removeContent } from '../content/remove.ts';
import { type IngestStatus, ingestStatus, listIngests } from '../content/status.ts';
import type { Content } from '../content/store.ts';
import { updateContent } from '../content/update.ts';
import { writeSession } from '../content/write-session.ts';
import type { Holder } from '../leases/protect.ts';

/** Blobs read at once for a list, and sent in one message. Source: containerd's content service. */
const PAGE = 100;

export const contentService = (parts: ContentParts): Service =>
  service(ContentDefinition, {
    info: ({ digest }, call) => {
      checkDigest(digest);
      return { info: toInfo(parts.content.get(requireNamespace(call.namespace), digest)) };
    },
    update: async ({ info, updateMask }, call) => {
      const { digest = '', labels = new Map() } = info ?? {};
      checkDigest(digest);
      const namespace = requireNamespace(call.namespace);
      return { info: toInfo(await updateContent(parts, namespace, { digest, labels }, updateMask ?? [])) };
    },
    list: async function* ({ filters }, call) {
      const namespace = requireNamespace(call.namespace);
      const filter = parseFilters(filters);
      for (let after = ''; ;) {
        const page = parts.content.list(namespace, { after, limit: PAGE });
        const matching = page.filter((content) => filter(contentFields(content)));
        if (matching.length > 0) yield { info: matching.map(toInfo) };
        const last = page.at(-1);
        if (last === undefined || page.length < PAGE) return;
        after = last.digest;
      }
    },
    delete: async ({ digest }, call) => {
      const fault = digestFault(digest);
      if (fault !== undefined) throw new CodedError(codes.invalidArgument, fault);
      await removeContent(parts, holderOf(call), digest);
      return {};
    },
    read: async function* ({ digest, offset, size }, call) {
      const fault = digestFault(digest);
      if (fault !== undefined) throw new CodedError(codes.invalidArgument, `${digest}: ${fault}`);
      let sent = 0n; // counted from the first byte that was asked for, as containerd does
      for await (const data of readContent(parts, requireNamespace(call.namespace), digest, { offset, size })) {
        yield { offset: sent, data };
        sent += BigInt(data.length);
      }
    },
    status: async ({ ref }, call) => {
      const namespace = requireNamespace(call.namespace);
      try {
        return { status: toStatus(await ingestStatus(parts, namespace, ref)) };
      } catch (error) {
        throw about(`could not get status for ref ${JSON.stringify(ref)}`, error);
      }
    },
    listStatuses: async ({ filters }, call) => {
      const namespace = requireNamespace(call.namespace);
      return { statuses: (await listIngests(parts, namespace, parseFilters(filters))).map(toStatus) };
    },
    write: (requests, call) => writeSession(parts, holderOf(call), requests, call.signal),
    abort: async ({ ref }, call) => {
      await abortIngest(parts, holderOf(call), ref);
      return {};
    },
  });

const holderOf = (call: Call): Holder => ({ namespace: requireNamespace(call.namespace), lease: call.lease });

const checkDigest = (digest: string): void => {
  if (digestFault(digest) === undefined) return;
  throw new CodedError(codes.invalidArgument, `${JSON.stringify(digest)} failed validation`);
};

/** `size` is known and never matches, as in containerd. */
const contentFields =
  (content: Content): Fields =>
  ([first, ...rest]) => {
    if (first === 'digest') return content.digest;
    return first === 'labels' ? mapField(content.labels, rest) : undefined;
  };

const toInfo = (content: Content): Info => ({
  digest: content.digest,
  size: content.size,
  createdAt: timestampFromNanos(content.createdAt),
  updatedAt: timestampFromNanos(content.updatedAt),
  labels: new Map(content.labels),
});

const toStatus = (status: IngestStatus): Status => ({
  ref: status.ref,
  offset: status.offset,
  total: status.total,
  startedAt: timestampFromNanos(status.startedAt),
  updatedAt: timestampFromNanos(status.updatedAt),
  expected: '',
});
