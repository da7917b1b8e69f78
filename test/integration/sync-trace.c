// Preloaded into a daemon: each sync and rename, once it is done, is a line of the file that SYNC_TRACE names. The first
// sync of a file whose path holds SYNC_FAIL fails, and loses nothing that a reader could see.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void note(const char *call, const char *path) {
  const char *file = getenv("SYNC_TRACE");
  char line[8192];
  const int length = snprintf(line, sizeof line, "%s %s\n", call, path);
  const int fd = file ? open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  if (fd < 0) return;
  if (write(fd, line, (size_t)length) != length) abort();
  close(fd);
}

static int synced(long call, int fd) {
  static int failed;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  path[length < 0 ? 0 : length] = 0;
  const char *fail = getenv("SYNC_FAIL");
  if (fail && strstr(path, fail) && !__atomic_exchange_n(&failed, 1, __ATOMIC_SEQ_CST)) {
    errno = EIO;
    return -1;
  }
  const int result = (int)syscall(call, fd);
  note("sync", path);
  return result;
}

int fsync(int fd) { return synced(SYS_fsync, fd); }

int fdatasync(int fd) { return synced(SYS_fdatasync, fd); }

int rename(const char *from, const char *to) {
  const int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
  note("rename", to);
  return result;
}
