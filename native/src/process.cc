// Children and ourselves: subreaper, pidfds, waiting, limits, and becoming another program.
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <tuple>
#include <vector>

#include "calls.h"
#include "descriptor.h"

namespace holdfast {

namespace {

Result<Nothing> SetSubreaper(bool on) { return Done(prctl(PR_SET_CHILD_SUBREAPER, on ? 1 : 0, 0, 0, 0), "prctl"); }

Result<bool> IsSubreaper() {
  int on = 0;
  if (prctl(PR_GET_CHILD_SUBREAPER, &on, 0, 0, 0) < 0) return Failed("prctl");
  return on != 0;
}

Result<Nothing> SetParentDeathSignal(Signal signal) {
  return Done(prctl(PR_SET_PDEATHSIG, signal.value, 0, 0, 0), "prctl");
}

Result<std::tuple<uint64_t, uint64_t>> GetResourceLimit(uint32_t resource) {
  rlimit limit{};
  if (prlimit(0, static_cast<__rlimit_resource>(resource), nullptr, &limit) < 0) return Failed("prlimit");
  return std::tuple<uint64_t, uint64_t>(limit.rlim_cur, limit.rlim_max);
}

Result<Nothing> SetResourceLimit(uint32_t resource, uint64_t soft, uint64_t hard) {
  const rlimit limit{soft, hard};
  return Done(prlimit(0, static_cast<__rlimit_resource>(resource), &limit, nullptr), "prlimit");
}

// By number: the header of Debian 12's glibc does not work in C++. The kernel makes every pidfd close-on-exec.
Result<Fd> PidfdOpen(Pid pid) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid.value, 0));
  if (fd < 0) return Failed("pidfd_open");
  return Fd{fd};
}

Result<Nothing> PidfdSend(Fd pidfd, Signal signal) {
  const long result = syscall(SYS_pidfd_send_signal, pidfd.value, signal.value, nullptr, 0);
  return Done(static_cast<int>(result), "pidfd_send_signal");
}

// The kernel's `struct pidfd_info` as first published; Debian 12's headers lack it. Source: linux/pidfd.h, 6.15.
struct PidfdInfoV0 {
  uint64_t mask;
  uint64_t cgroup_id;
  uint32_t pid;
  uint32_t tgid;
  uint32_t ppid;
  uint32_t credentials[8];
  // As wait(2) gives it; set where the mask has kPidfdInfoExit.
  int32_t exit_code;
};
static_assert(sizeof(PidfdInfoV0) == 64);

constexpr unsigned long kPidfdGetInfo = _IOWR(0xFF, 11, PidfdInfoV0);
constexpr uint64_t kPidfdInfoPid = 1 << 0;
constexpr uint64_t kPidfdInfoExit = 1 << 3;

// (pid, parent, wait status or none); none at all where the kernel cannot tell.
Result<std::optional<std::tuple<uint32_t, uint32_t, std::optional<int>>>> PidfdInfo(Fd pidfd) {
  PidfdInfoV0 info{};
  info.mask = kPidfdInfoPid | kPidfdInfoExit;
  if (ioctl(pidfd.value, kPidfdGetInfo, &info) < 0) {
    // Kernels before 6.13 know no such ioctl; before 6.15 a process that was reaped is forgotten at once.
    if (errno == ENOTTY || errno == EINVAL || errno == ESRCH) return std::nullopt;
    return Failed("ioctl");
  }
  std::optional<int> status;
  if ((info.mask & kPidfdInfoExit) != 0) status = info.exit_code;
  return std::tuple(info.pid, info.ppid, status);
}

// The status as wait(2) packs it, which is also how PIDFD_GET_INFO gives it.
int WaitStatus(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return (info.si_status & 0xff) << 8;
  return info.si_code == CLD_DUMPED ? info.si_status | 0x80 : info.si_status;
}

// (pid, wait status) of a child that has ended; none if none has, or there is no such child.
Result<std::optional<std::tuple<int, int>>> Wait(uint32_t type, uint32_t id, bool peek) {
  siginfo_t info{};
  const int flags = WEXITED | WNOHANG | (peek ? WNOWAIT : 0);
  if (Retry([&] { return waitid(static_cast<idtype_t>(type), id, &info, flags); }) < 0) {
    if (errno == ECHILD) return std::nullopt;
    return Failed("waitid");
  }
  if (info.si_pid == 0) return std::nullopt;
  return std::tuple(info.si_pid, WaitStatus(info));
}

// Nanoseconds since 1970: Date.now() cuts them off, and process.hrtime has no date.
Result<uint64_t> RealtimeNanos() {
  timespec now{};
  if (clock_gettime(CLOCK_REALTIME, &now) < 0) return Failed("clock_gettime");
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// Makes signals as a new program expects them, and puts Node's way back if there is none.
class PlainSignals {
 public:
  PlainSignals() {
    struct sigaction plain {};
    plain.sa_handler = SIG_DFL;
    for (size_t index = 0; index < kIgnored.size(); ++index) sigaction(kIgnored[index], &plain, &before_[index]);
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, &mask_before_);
  }
  PlainSignals(const PlainSignals&) = delete;
  PlainSignals& operator=(const PlainSignals&) = delete;

  ~PlainSignals() {
    pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
    for (size_t index = 0; index < kIgnored.size(); ++index) sigaction(kIgnored[index], &before_[index], nullptr);
  }

 private:
  // What Node ignores; being ignored survives an exec.
  static constexpr std::array<int, 2> kIgnored = {SIGPIPE, SIGXFSZ};
  std::array<struct sigaction, kIgnored.size()> before_{};
  sigset_t mask_before_;
};

std::vector<char*> Pointers(const std::vector<Text>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  // execve's parameters are not const for historical reasons; it writes to none of them.
  for (const Text& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

Result<Nothing> Execve(const Path& path, const std::vector<Text>& argv, const std::vector<Text>& env,
                       const std::vector<Fd>& keep) {
  if (argv.empty()) return Refused("execve", "argv must have a program name");
  for (const Fd fd : keep) {
    if (fcntl(fd.value, F_GETFD) < 0) return Failed("fcntl");
  }
  // Everything first: Node's own marking stops at the first gap above 15 when it starts.
  if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0) return Failed("close_range");
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) fcntl(fd, F_SETFD, 0);
  for (const Fd fd : keep) fcntl(fd.value, F_SETFD, 0);
  {
    const PlainSignals signals;
    execve(path.c_str(), Pointers(argv).data(), Pointers(env).data());
  }
  const Failure failure = Failed("execve");
  for (const Fd fd : keep) {
    if (fd.value > STDERR_FILENO) fcntl(fd.value, F_SETFD, FD_CLOEXEC);
  }
  return failure;
}

// A copy of `fd` that is none of 0–2, if it is one: what is put there first must not be read from there later.
int OutOfTheWay(int fd) { return fd > STDERR_FILENO ? fd : fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1); }

// What posix_spawn is told, freed at the end.
class SpawnPlan {
 public:
  SpawnPlan() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }

  // Signals as a new program expects them, a session of its own, and the directory that is always there.
  int Begin() {
    sigset_t all;
    sigset_t none;
    // Not sigfillset, which leaves out the two that glibc uses itself: those it would have ignored.
    memset(&all, 0xff, sizeof(all));
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
    return posix_spawn_file_actions_addchdir_np(&actions_, "/");
  }

  int Give(int fd, int number) { return posix_spawn_file_actions_adddup2(&actions_, fd, number); }

  int Run(pid_t* pid, const Path& path, const std::vector<Text>& argv, const std::vector<Text>& env) const {
    return posix_spawn(pid, path.c_str(), &actions_, &attributes_, Pointers(argv).data(), Pointers(env).data());
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// Without a copy of our memory, unlike libuv's: that takes milliseconds of a process as large as Node.
Result<int> SpawnProcess(const Path& path, const std::vector<Text>& argv, const std::vector<Text>& env,
                         const std::vector<Fd>& stdio) {
  if (argv.empty()) return Refused("posix_spawn", "argv must have a program name");
  if (stdio.size() != STDERR_FILENO + 1) return Refused("posix_spawn", "there must be three descriptors");
  SpawnPlan plan;
  int error = plan.Begin();
  std::vector<Descriptor> copies;
  for (int number = 0; number <= STDERR_FILENO && error == 0; ++number) {
    const int fd = OutOfTheWay(stdio[static_cast<size_t>(number)].value);
    if (fd < 0) return Failed("fcntl");
    if (fd != stdio[static_cast<size_t>(number)].value) copies.emplace_back(fd);
    error = plan.Give(fd, number);
  }
  pid_t pid = 0;
  if (error == 0) error = plan.Run(&pid, path, argv, env);
  if (error != 0) return Failure{error, "posix_spawn"};
  return pid;
}

}  // namespace

void AddProcess(Napi::Object exports) {
  Add<SetSubreaper>(exports, "setSubreaper");
  Add<IsSubreaper>(exports, "isSubreaper");
  Add<SetParentDeathSignal>(exports, "setParentDeathSignal");
  Add<GetResourceLimit>(exports, "getResourceLimit");
  Add<SetResourceLimit>(exports, "setResourceLimit");
  Add<PidfdOpen>(exports, "pidfdOpen");
  Add<PidfdSend>(exports, "pidfdSend");
  Add<PidfdInfo>(exports, "pidfdInfo");
  Add<Wait>(exports, "wait");
  Add<RealtimeNanos>(exports, "realtimeNanos");
  Add<SpawnProcess>(exports, "spawnProcess");
  Add<Execve>(exports, "execve");
}

}  // namespace holdfast
