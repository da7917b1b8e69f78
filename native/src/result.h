// What a system call gives: a value, or a failure that says which call failed and why. No N-API here, so that a call is
// plain C++ that runs on any thread.
#ifndef HOLDFAST_RESULT_H_
#define HOLDFAST_RESULT_H_

#include <cerrno>
#include <utility>
#include <variant>

namespace holdfast {

struct Failure {
  // As in errno.
  int number;
  // The system call, for the message and for `syscall` of the error.
  const char* call;
  // Says more than strerror does; may be null.
  const char* reason = nullptr;
};

// To be called right after `call` failed.
inline Failure Failed(const char* call) { return {errno, call}; }

inline Failure Refused(const char* call, const char* reason) { return {EINVAL, call, reason}; }

using Nothing = std::monostate;

template <typename T>
using Result = std::variant<T, Failure>;

// Repeats a call that a signal interrupted.
template <typename Call>
auto Retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// For calls that give 0 or -1.
inline Result<Nothing> Done(int result, const char* call) {
  if (result < 0) return Failed(call);
  return Nothing{};
}

}  // namespace holdfast

#endif  // HOLDFAST_RESULT_H_
