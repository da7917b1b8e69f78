// Pipes, sockets in pairs, eventfds, flags of descriptors, and reads and writes that never wait.
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <tuple>

#include "calls.h"

namespace holdfast {

namespace {

Result<std::tuple<Fd, Fd>> Pipe(bool nonblocking) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | (nonblocking ? O_NONBLOCK : 0)) < 0) return Failed("pipe2");
  return std::tuple(Fd{ends[0]}, Fd{ends[1]});
}

Result<std::tuple<Fd, Fd>> SocketPair(uint32_t type) {
  int ends[2];
  const int flags = static_cast<int>(type) | SOCK_CLOEXEC | SOCK_NONBLOCK;
  if (socketpair(AF_UNIX, flags, 0, ends) < 0) return Failed("socketpair");
  return std::tuple(Fd{ends[0]}, Fd{ends[1]});
}

Result<Fd> Eventfd(uint32_t initial) {
  const int fd = eventfd(initial, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return Failed("eventfd");
  return Fd{fd};
}

Result<Fd> Duplicate(Fd fd) {
  const int copy = fcntl(fd.value, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return Failed("fcntl");
  return Fd{copy};
}

Result<Nothing> SetNonblocking(Fd fd, bool on) {
  const int flags = fcntl(fd.value, F_GETFL);
  if (flags < 0) return Failed("fcntl");
  return Done(fcntl(fd.value, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK), "fcntl");
}

Result<Nothing> SetCloseOnExec(Fd fd, bool on) { return Done(fcntl(fd.value, F_SETFD, on ? FD_CLOEXEC : 0), "fcntl"); }

Result<Nothing> CloseRange(uint32_t first, uint32_t last, bool cloexec) {
  return Done(close_range(first, last, cloexec ? CLOSE_RANGE_CLOEXEC : 0), "close_range");
}

// None: it would have to wait.
Result<std::optional<Size>> Moved(ssize_t moved, const char* call) {
  if (moved >= 0) return Size{moved};
  if (errno == EAGAIN) return std::nullopt;
  return Failed(call);
}

constexpr const char* kBlocking = "the descriptor is blocking";

Result<std::optional<Size>> ReadNow(Fd fd, Bytes buffer) {
  // A read of nothing gives 0, which would be taken for the end.
  if (buffer.length == 0) return Refused("read", "the buffer is empty");
  const int flags = fcntl(fd.value, F_GETFL);
  if (flags < 0) return Failed("read");
  if ((flags & O_NONBLOCK) == 0) return Refused("read", kBlocking);
  return Moved(Retry([&] { return read(fd.value, buffer.data, buffer.length); }), "read");
}

Result<std::optional<Size>> WriteNow(Fd fd, Bytes buffer) {
  const int flags = fcntl(fd.value, F_GETFL);
  if (flags < 0) return Failed("write");
  if ((flags & O_NONBLOCK) == 0) return Refused("write", kBlocking);
  return Moved(Retry([&] { return write(fd.value, buffer.data, buffer.length); }), "write");
}

// SPLICE_F_NONBLOCK is about pipes only: a socket or terminal at the other side would wait all the same.
bool SpliceMayWait(Fd fd) {
  struct stat about {};
  if (fstat(fd.value, &about) < 0 || S_ISFIFO(about.st_mode) || S_ISREG(about.st_mode)) return false;
  const int flags = fcntl(fd.value, F_GETFL);
  return flags >= 0 && (flags & O_NONBLOCK) == 0;
}

Result<std::optional<Size>> Splice(Fd from, Fd to, Size length) {
  if (SpliceMayWait(from) || SpliceMayWait(to)) return Refused("splice", kBlocking);
  const size_t bytes = static_cast<size_t>(length.value);
  const auto call = [&] {
    return splice(from.value, nullptr, to.value, nullptr, bytes, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
  };
  return Moved(Retry(call), "splice");
}

Result<int> PollOnce(Fd fd, uint16_t events) {
  pollfd entry{fd.value, static_cast<short>(events), 0};
  if (Retry([&] { return poll(&entry, 1, 0); }) < 0) return Failed("poll");
  if ((entry.revents & POLLNVAL) != 0) return Failure{EBADF, "poll"};
  return int{entry.revents};
}

Result<Fd> Inotify() {
  const int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (fd < 0) return Failed("inotify_init1");
  return Fd{fd};
}

Result<int> InotifyAdd(Fd fd, const Path& path, uint32_t mask) {
  const int watch = inotify_add_watch(fd.value, path.c_str(), mask);
  if (watch < 0) return Failed("inotify_add_watch");
  return watch;
}

}  // namespace

void AddDescriptors(Napi::Object exports) {
  Add<Pipe>(exports, "pipe");
  Add<SocketPair>(exports, "socketPair");
  Add<Eventfd>(exports, "eventfd");
  Add<Duplicate>(exports, "duplicate");
  Add<SetNonblocking>(exports, "setNonblocking");
  Add<SetCloseOnExec>(exports, "setCloseOnExec");
  Add<CloseRange>(exports, "closeRange");
  Add<ReadNow>(exports, "readNow");
  Add<WriteNow>(exports, "writeNow");
  Add<Splice>(exports, "splice");
  Add<PollOnce>(exports, "pollOnce");
  Add<Inotify>(exports, "inotify");
  Add<InotifyAdd>(exports, "inotifyAdd");
}

}  // namespace holdfast
