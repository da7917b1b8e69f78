// Preloaded into a daemon: every sync takes 50 ms longer, as on a busy disk.
#include <unistd.h>
#include <sys/syscall.h>

enum { DELAY_US = 50 * 1000 };

int fsync(int fd) {
  usleep(DELAY_US);
  return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
  usleep(DELAY_US);
  return (int)syscall(SYS_fdatasync, fd);
}
