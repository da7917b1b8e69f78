// What calls by path and calls below an open directory have in common.
#ifndef HOLDFAST_INODES_H_
#define HOLDFAST_INODES_H_

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <ctime>

#include "arguments.h"
#include "result.h"

namespace holdfast {

constexpr int64_t kSecond = 1'000'000'000;

// Of nanoseconds since 1970.
inline timespec TimeOf(int64_t nanoseconds) {
  int64_t seconds = nanoseconds / kSecond;
  int64_t rest = nanoseconds % kSecond;
  // Before 1970: the nanoseconds still count upwards.
  if (rest < 0) {
    seconds -= 1;
    rest += kSecond;
  }
  timespec time{};
  time.tv_sec = seconds;
  time.tv_nsec = rest;
  return time;
}

inline Result<Fd> OpenAt2(Fd directory, const char* path, uint32_t flags, uint32_t mode, uint32_t resolve) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  // The open of a FIFO must not wait for its other end; files do not mind. O_PATH takes no such flag: it opens nothing.
  if ((flags & O_PATH) == 0) how.flags |= O_NONBLOCK;
  how.mode = mode;
  how.resolve = resolve;
  const int fd = Retry([&] { return static_cast<int>(syscall(SYS_openat2, directory.value, path, &how, sizeof(how))); });
  if (fd < 0) return Failed("openat2");
  return Fd{fd};
}

}  // namespace holdfast

#endif  // HOLDFAST_INODES_H_
