// Preloaded into a daemon: each sync and rename, once it is done, is a line of the file that SYNC_TRACE names.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

static int noted(int result, const char *call, int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  path[length < 0 ? 0 : length] = 0;
  note(call, path);
  return result;
}

int fsync(int fd) { return noted((int)syscall(SYS_fsync, fd), "sync", fd); }

int fdatasync(int fd) { return noted((int)syscall(SYS_fdatasync, fd), "sync", fd); }

int rename(const char *from, const char *to) {
  const int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
  note("rename", to);
  return result;
}
