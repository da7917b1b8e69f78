// Mounts. All of them run in the thread pool: a dead server or a busy disk behind a mount may take for ever.
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "calls.h"

namespace holdfast {

namespace {

// The kernel reads one page of data and cuts the rest off without a word, bytes. Source: copy_mount_options.
constexpr size_t kMountDataBytesMax = 4096 - 1;

const char* OrNull(const Text& text) { return text.value.empty() ? nullptr : text.c_str(); }

Result<Nothing> Mount(const Text& source, const Path& target, const Text& type, uint32_t flags, const Text& data) {
  if (data.value.size() > kMountDataBytesMax) return Refused("mount", "mount data has more than 4095 bytes");
  return Done(mount(OrNull(source), target.c_str(), OrNull(type), flags, OrNull(data)), "mount");
}

Result<Nothing> Unmount(const Path& target, uint32_t flags) {
  return Done(umount2(target.c_str(), static_cast<int>(flags)), "umount2");
}

Result<Nothing> PivotRoot(const Path& new_root, const Path& put_old) {
  return Done(static_cast<int>(syscall(SYS_pivot_root, new_root.c_str(), put_old.c_str())), "pivot_root");
}

}  // namespace

void AddMounts(Napi::Object exports) {
  AddAsync<Mount>(exports, "mount");
  AddAsync<Unmount>(exports, "unmount");
  AddAsync<PivotRoot>(exports, "pivotRoot");
}

}  // namespace holdfast
