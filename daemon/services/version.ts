import { VersionDefinition } from '../../proto/gen/containerd/services/version/v1/version.ts';
import { type Service, service } from '../call.ts';
import { API_VERSION, REVISION } from '../version.ts';

export const versionService = (): Service =>
  service(VersionDefinition, { version: () => ({ version: API_VERSION, revision: REVISION }) });
