// Pseudo-terminals and their size.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <tuple>

#include "calls.h"
#include "descriptor.h"

namespace holdfast {

namespace {

Result<std::tuple<Fd, Fd>> OpenTerminal() {
  Descriptor master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!master.valid()) return Failed("open");
  if (unlockpt(master.get()) < 0) return Failed("ioctl");
  // By ioctl, not by the name in /dev/pts: the name may mean another terminal in another mount namespace.
  Descriptor replica(ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!replica.valid()) return Failed("ioctl");
  return std::tuple(Fd{master.Release()}, Fd{replica.Release()});
}

Result<Nothing> SetWindowSize(Fd fd, uint16_t columns, uint16_t rows) {
  const winsize size{rows, columns, 0, 0};
  return Done(ioctl(fd.value, TIOCSWINSZ, &size), "ioctl");
}

Result<std::tuple<uint32_t, uint32_t>> GetWindowSize(Fd fd) {
  winsize size{};
  if (ioctl(fd.value, TIOCGWINSZ, &size) < 0) return Failed("ioctl");
  return std::tuple<uint32_t, uint32_t>(size.ws_col, size.ws_row);
}

}  // namespace

void AddTerminals(Napi::Object exports) {
  Add<OpenTerminal>(exports, "openTerminal");
  Add<SetWindowSize>(exports, "setWindowSize");
  Add<GetWindowSize>(exports, "getWindowSize");
}

}  // namespace holdfast
