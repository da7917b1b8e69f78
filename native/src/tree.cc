// Building and reading a directory tree: each call names one entry of an open directory and follows no symlink, so what
// is below the directory cannot lead it elsewhere. Names are bytes (Octets), as the kernel has them.
#include <dirent.h>
#include <fcntl.h>
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

// The kernel has no calls for attributes, or for the mode of an O_PATH descriptor, that take a directory: through proc a
// descriptor becomes the start of a path. Only the last part is looked up, and the calls used with it do not follow it.
std::string ProcPath(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

// Of an entry, or of the directory itself where the name is empty: without a last part, proc's own link would be meant.
std::string PathOf(Fd directory, const Octets& name) {
  return ProcPath(directory.value) + "/" + (name.value.empty() ? "." : name.value);
}

Result<Fd> OpenBelow(Fd directory, const Octets& path, uint32_t flags, uint32_t mode, uint32_t resolve) {
  return OpenAt2(directory, path.c_str(), flags, mode, resolve);
}

// mode, uid, gid, links, major, minor, size, inode, device, mtime in nanoseconds.
using About = std::tuple<uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, Size, uint64_t, uint64_t, int64_t>;

// Of the directory itself where the name is empty. None: there is no such entry.
Result<std::optional<About>> StatBelow(Fd directory, const Octets& name) {
  struct stat about {};
  if (fstatat(directory.value, name.c_str(), &about, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0) {
    if (errno == ENOENT) return std::nullopt;
    return Failed("fstatat");
  }
  return About{about.st_mode,
               about.st_uid,
               about.st_gid,
               static_cast<uint32_t>(about.st_nlink),
               major(about.st_rdev),
               minor(about.st_rdev),
               Size{about.st_size},
               about.st_ino,
               about.st_dev,
               about.st_mtim.tv_sec * kSecond + about.st_mtim.tv_nsec};
}

Result<Nothing> MakeDirectoryBelow(Fd directory, const Octets& name, uint32_t mode) {
  return Done(mkdirat(directory.value, name.c_str(), mode), "mkdirat");
}

Result<Nothing> SymlinkBelow(const Octets& target, Fd directory, const Octets& name) {
  return Done(symlinkat(target.c_str(), directory.value, name.c_str()), "symlinkat");
}

Result<Nothing> LinkBelow(Fd from, const Octets& existing, Fd to, const Octets& name) {
  return Done(linkat(from.value, existing.c_str(), to.value, name.c_str(), 0), "linkat");
}

Result<Nothing> MakeNodeBelow(Fd directory, const Octets& name, uint32_t mode, uint32_t major_number,
                              uint32_t minor_number) {
  return Done(mknodat(directory.value, name.c_str(), mode, makedev(major_number, minor_number)), "mknodat");
}

// false: it is a directory with something in it.
Result<bool> RemoveBelow(Fd directory, const Octets& name) {
  if (unlinkat(directory.value, name.c_str(), 0) == 0 || errno == ENOENT) return true;
  if (errno != EISDIR && errno != EPERM) return Failed("unlinkat");
  if (unlinkat(directory.value, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
  if (errno == ENOTEMPTY || errno == EEXIST) return false;
  return Failed("unlinkat");
}

// Owner, mode and times of whatever kind of file it is; a symlink has no mode of its own. In this order: a change of
// owner takes set-uid bits away.
Result<Nothing> SetInodeBelow(Fd directory, const Octets& name, uint32_t uid, uint32_t gid, uint32_t mode,
                              int64_t accessed, int64_t modified) {
  const Descriptor inode(openat(directory.value, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!inode.valid()) return Failed("openat");
  struct stat about {};
  if (fstat(inode.get(), &about) < 0) return Failed("fstat");
  if (fchownat(inode.get(), "", uid, gid, AT_EMPTY_PATH) < 0) return Failed("fchownat");
  if (!S_ISLNK(about.st_mode) && chmod(ProcPath(inode.get()).c_str(), mode) < 0) return Failed("chmod");
  const timespec times[2] = {TimeOf(accessed), TimeOf(modified)};
  return Done(utimensat(inode.get(), "", times, AT_EMPTY_PATH), "utimensat");
}

Result<Nothing> FinishFile(Fd file, uint32_t uid, uint32_t gid, uint32_t mode, int64_t accessed, int64_t modified) {
  if (fchown(file.value, uid, gid) < 0) return Failed("fchown");
  if (fchmod(file.value, mode) < 0) return Failed("fchmod");
  const timespec times[2] = {TimeOf(accessed), TimeOf(modified)};
  return Done(futimens(file.value, times), "futimens");
}

// A small file in one call: thousands of them make up most of a layer.
Result<Nothing> WriteFileBelow(Fd directory, const Octets& name, uint32_t uid, uint32_t gid, uint32_t mode,
                               int64_t accessed, int64_t modified, Bytes data) {
  const Descriptor file(
      openat(directory.value, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return Failed("openat");
  for (size_t at = 0; at < data.length;) {
    const ssize_t written = Retry([&] { return write(file.get(), data.data + at, data.length - at); });
    if (written < 0) return Failed("write");
    at += static_cast<size_t>(written);
  }
  return FinishFile(Fd{file.get()}, uid, gid, mode, accessed, modified);
}

Result<Octets> ReadLinkBelow(Fd directory, const Octets& name) {
  std::string target(kPathBytesMax + 1, '\0');
  const ssize_t length = readlinkat(directory.value, name.c_str(), target.data(), target.size());
  if (length < 0) return Failed("readlinkat");
  target.resize(length);
  return Octets{std::move(target)};
}

Result<std::vector<Octets>> ListDirectory(Fd directory) {
  // A descriptor of its own: it may be O_PATH, and reading moves the offset.
  const int fd = openat(directory.value, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Failed("openat");
  DIR* stream = fdopendir(fd);
  if (stream == nullptr) {
    const Failure failure = Failed("fdopendir");
    close(fd);
    return failure;
  }
  std::vector<Octets> names;
  errno = 0;
  while (const dirent* entry = readdir(stream)) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) names.push_back(Octets{entry->d_name});
    errno = 0;
  }
  const Failure failure = Failed("readdir");
  closedir(stream);
  if (failure.number != 0) return failure;
  return names;
}

// None: there is no such attribute.
Result<std::optional<std::vector<uint8_t>>> GetXattrBelow(Fd directory, const Octets& name, const Octets& key) {
  uint8_t value[kXattrBytesMax];
  const ssize_t length = lgetxattr(PathOf(directory, name).c_str(), key.c_str(), value, sizeof(value));
  if (length >= 0) return std::vector<uint8_t>(value, value + length);
  if (errno == ENODATA || errno == EOPNOTSUPP) return std::nullopt;
  return Failed("lgetxattr");
}

Result<Nothing> SetXattrBelow(Fd directory, const Octets& name, const Octets& key, Bytes value) {
  return Done(lsetxattr(PathOf(directory, name).c_str(), key.c_str(), value.data, value.length, 0), "lsetxattr");
}

Result<std::vector<Octets>> ListXattrsBelow(Fd directory, const Octets& name) {
  char list[kXattrBytesMax];
  const ssize_t length = llistxattr(PathOf(directory, name).c_str(), list, sizeof(list));
  std::vector<Octets> keys;
  if (length < 0) {
    if (errno == EOPNOTSUPP) return keys;
    return Failed("llistxattr");
  }
  for (ssize_t at = 0; at < length; at += static_cast<ssize_t>(keys.back().value.size()) + 1)
    keys.push_back(Octets{std::string(list + at, strnlen(list + at, length - at))});
  return keys;
}

Result<Nothing> SyncFileSystem(Fd file) { return Done(syncfs(file.value), "syncfs"); }

}  // namespace

void AddTree(Napi::Object exports) {
  Add<OpenBelow>(exports, "openBelow");
  Add<StatBelow>(exports, "statBelow");
  Add<MakeDirectoryBelow>(exports, "makeDirectoryBelow");
  Add<SymlinkBelow>(exports, "symlinkBelow");
  Add<LinkBelow>(exports, "linkBelow");
  Add<MakeNodeBelow>(exports, "makeNodeBelow");
  Add<RemoveBelow>(exports, "removeBelow");
  Add<SetInodeBelow>(exports, "setInodeBelow");
  Add<FinishFile>(exports, "finishFile");
  Add<WriteFileBelow>(exports, "writeFileBelow");
  Add<ReadLinkBelow>(exports, "readLinkBelow");
  Add<ListDirectory>(exports, "listDirectory");
  Add<GetXattrBelow>(exports, "getXattrBelow");
  Add<SetXattrBelow>(exports, "setXattrBelow");
  Add<ListXattrsBelow>(exports, "listXattrsBelow");
  AddAsync<SyncFileSystem>(exports, "syncFileSystem");
}

}  // namespace holdfast
