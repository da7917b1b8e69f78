// Files: locks, preallocation, times to the nanosecond, nodes, attributes, FIFOs, and opening below a directory.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "calls.h"
#include "descriptor.h"
#include "inodes.h"

namespace holdfast {

namespace {

// Largest value of an attribute, and largest list of names, bytes. Source: XATTR_SIZE_MAX, XATTR_LIST_MAX.
constexpr size_t kXattrBytesMax = 65536;

Result<bool> LockFile(Fd fd, uint32_t operation) {
  if (Retry([&] { return flock(fd.value, static_cast<int>(operation) | LOCK_NB); }) == 0) return true;
  if (errno == EWOULDBLOCK) return false;
  return Failed("flock");
}

Result<Nothing> Allocate(Fd fd, Size offset, Size length) {
  return Done(Retry([&] { return fallocate(fd.value, 0, offset.value, length.value); }), "fallocate");
}

// Where the next data of a file begins and ends; none: only a hole is left.
Result<std::optional<std::tuple<Size, Size>>> NextData(Fd fd, Size offset) {
  const off_t begin = lseek(fd.value, offset.value, SEEK_DATA);
  if (begin < 0) {
    if (errno == ENXIO) return std::nullopt;
    return Failed("lseek");
  }
  const off_t end = lseek(fd.value, begin, SEEK_HOLE);
  if (end < 0) return Failed("lseek");
  return std::make_tuple(Size{begin}, Size{end});
}

int FollowFlag(bool no_follow) { return no_follow ? AT_SYMLINK_NOFOLLOW : 0; }

Result<Nothing> SetTimes(const Path& path, int64_t accessed, int64_t modified, bool no_follow) {
  const timespec times[2] = {TimeOf(accessed), TimeOf(modified)};
  return Done(utimensat(AT_FDCWD, path.c_str(), times, FollowFlag(no_follow)), "utimensat");
}

Result<Nothing> MakeNode(const Path& path, uint32_t mode, uint32_t major_number, uint32_t minor_number) {
  return Done(mknod(path.c_str(), mode, makedev(major_number, minor_number)), "mknod");
}

Result<Nothing> MakeFifo(const Path& path, uint32_t mode) { return Done(mkfifo(path.c_str(), mode), "mkfifo"); }

// None: there is no such attribute.
Result<std::optional<std::vector<uint8_t>>> GetXattr(const Path& path, const Text& name, bool no_follow) {
  std::vector<uint8_t> value(kXattrBytesMax);
  const auto get = no_follow ? lgetxattr : getxattr;
  const ssize_t length = get(path.c_str(), name.c_str(), value.data(), value.size());
  if (length < 0) {
    if (errno == ENODATA) return std::nullopt;
    return Failed("getxattr");
  }
  value.resize(length);
  return value;
}

Result<Nothing> SetXattr(const Path& path, const Text& name, Bytes value, bool no_follow) {
  const auto set = no_follow ? lsetxattr : setxattr;
  return Done(set(path.c_str(), name.c_str(), value.data, value.length, 0), "setxattr");
}

Result<std::vector<Text>> ListXattrs(const Path& path, bool no_follow) {
  std::vector<char> list(kXattrBytesMax);
  const auto get = no_follow ? llistxattr : listxattr;
  const ssize_t length = get(path.c_str(), list.data(), list.size());
  if (length < 0) return Failed("listxattr");
  std::vector<Text> names;
  for (ssize_t at = 0; at < length; at += static_cast<ssize_t>(names.back().value.size()) + 1)
    names.push_back(Text{std::string(list.data() + at, strnlen(list.data() + at, length - at))});
  return names;
}

Result<Nothing> RemoveXattr(const Path& path, const Text& name, bool no_follow) {
  const auto remove = no_follow ? lremovexattr : removexattr;
  return Done(remove(path.c_str(), name.c_str()), "removexattr");
}

Result<Fd> OpenIn(Fd directory, const Path& path, uint32_t flags, uint32_t mode, uint32_t resolve) {
  return OpenAt2(directory, path.c_str(), flags, mode, resolve);
}

Result<bool> IsFifo(const Path& path) {
  struct stat about {};
  if (stat(path.c_str(), &about) == 0) return S_ISFIFO(about.st_mode);
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return Failed("stat");
}

Result<Fd> OpenFifo(const Path& path, bool read, bool write, bool blocking) {
  if (!read && !write) return Refused("open", "neither read nor write");
  // Looked at before it is opened, through one descriptor: opening a device would already do something to it.
  const Descriptor place(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!place.valid()) return Failed("open");
  struct stat about {};
  if (fstat(place.get(), &about) < 0) return Failed("fstat");
  if (!S_ISFIFO(about.st_mode)) return Refused("open", "not a FIFO");
  const std::string same = "/proc/self/fd/" + std::to_string(place.get());
  const int access = read && write ? O_RDWR : read ? O_RDONLY : O_WRONLY;
  Descriptor fifo(open(same.c_str(), access | O_NONBLOCK | O_CLOEXEC));
  if (!fifo.valid()) return Failed("open");
  if (blocking && fcntl(fifo.get(), F_SETFL, access) < 0) return Failed("fcntl");
  return Fd{fifo.Release()};
}

}  // namespace

void AddFiles(Napi::Object exports) {
  Add<LockFile>(exports, "lockFile");
  Add<Allocate>(exports, "allocateNow");
  AddAsync<Allocate>(exports, "allocate");
  Add<NextData>(exports, "nextData");
  Add<SetTimes>(exports, "setTimes");
  Add<MakeNode>(exports, "makeNode");
  Add<MakeFifo>(exports, "makeFifo");
  Add<GetXattr>(exports, "getXattr");
  Add<SetXattr>(exports, "setXattr");
  Add<ListXattrs>(exports, "listXattrs");
  Add<RemoveXattr>(exports, "removeXattr");
  Add<OpenIn>(exports, "openIn");
  Add<IsFifo>(exports, "isFifo");
  Add<OpenFifo>(exports, "openFifo");
}

}  // namespace holdfast
