import { packAny } from '../../common/any.ts';
import { Metrics as MetricsV1 } from '../../proto/gen/io/containerd/cgroups/v1/cgroups_v1.ts';
import { Metrics as MetricsV2 } from '../../proto/gen/io/containerd/cgroups/v2/cgroups_v2.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import { cgroupPaths } from './paths.ts';
import { statsV1 } from './stats-v1.ts';
import { statsV2 } from './stats-v2.ts';

/** The metrics of the cgroups that a process is in, of the type that fits their version. NotFound: it is gone. */
export const readStats = async (pid: number): Promise<Any> => {
  const paths = cgroupPaths(pid);
  return paths.version === 2
    ? packAny('io.containerd.cgroups.v2.Metrics', MetricsV2, statsV2(paths.directory))
    : packAny('io.containerd.cgroups.v1.Metrics', MetricsV1, statsV1(paths.directories));
};
