// A copy of this process, JavaScript and all, which is how a shim comes to life without a start of Node. Node knows
// nothing of it, so what would be left of the parent is put right here: V8 hides its heap from children, libuv's loop
// and our own epoll instance are shared with them, and no thread but this one goes along.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uv.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "calls.h"
#include "poller.h"

namespace holdfast {

namespace {

// Exit status of a child whose loop could not be made its own; nobody has seen anything of it by then.
constexpr int kNoLoop = 121;

struct Range {
  void* start;
  size_t length;
};

struct CloseFile {
  void operator()(FILE* file) const { fclose(file); }
};

bool HasWord(std::string_view line, std::string_view word) {
  for (size_t at = line.find(word); at != std::string_view::npos; at = line.find(word, at + 1)) {
    const size_t end = at + word.size();
    if (line[at - 1] == ' ' && (end == line.size() || line[end] == ' ' || line[end] == '\n')) return true;
  }
  return false;
}

// What fork(2) would leave out: V8 marks its pages so, for the sake of children that become another program at once.
Result<std::vector<Range>> RangesNotCopied() {
  const std::unique_ptr<FILE, CloseFile> maps(fopen("/proc/self/smaps", "re"));
  if (maps == nullptr) return Failed("open");
  std::vector<Range> ranges;
  Range last{};
  char* buffer = nullptr;
  size_t capacity = 0;
  while (getline(&buffer, &capacity, maps.get()) > 0) {
    uintptr_t start = 0;
    uintptr_t end = 0;
    if (sscanf(buffer, "%lx-%lx ", &start, &end) == 2) last = {reinterpret_cast<void*>(start), end - start};
    const std::string_view line(buffer);
    if (line.starts_with("VmFlags:") && HasWord(line, "dc")) ranges.push_back(last);
  }
  free(buffer);
  return ranges;
}

void Advise(const std::vector<Range>& ranges, int advice) {
  for (const Range& range : ranges) madvise(range.start, range.length, advice);
}

// fork() → the child's pid; 0 in the child.
Napi::Value Fork(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) {
    return Throw(env, ErrorOf(env, Refused("fork", "the environment is ending"), nullptr));
  }
  const Result<std::vector<Range>> read = RangesNotCopied();
  if (const auto* failure = std::get_if<Failure>(&read)) return Throw(env, ErrorOf(env, *failure, nullptr));
  const auto& ranges = std::get<std::vector<Range>>(read);
  // No signal handler may write to the loop that both have until each has its own.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Advise(ranges, MADV_DOFORK);
  const pid_t pid = fork();
  const Failure failure = Failed("fork");
  Advise(ranges, MADV_DONTFORK);
  if (pid == 0 && (setsid() < 0 || !RenewWatches(env) || uv_loop_fork(loop) != 0)) _exit(kNoLoop);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return Throw(env, ErrorOf(env, failure, nullptr));
  return ToJs(env, pid);
}

Result<int> ProcessId() { return getpid(); }

// At once: at an orderly exit Node waits for threads, which a forked process does not have.
Result<Nothing> ExitNow(uint16_t status) { _exit(status); }

}  // namespace

void AddFork(Napi::Object exports) {
  exports.Set("fork", Napi::Function::New<Fork>(exports.Env(), "fork"));
  Add<ProcessId>(exports, "processId");
  Add<ExitNow>(exports, "exitNow");
}

}  // namespace holdfast
