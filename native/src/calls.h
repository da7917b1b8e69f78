// Turns a C++ function of plain arguments into a JavaScript one: `Add<Function>` runs it at once, `AddAsync<Function>`
// in libuv's thread pool, giving a promise.
#ifndef HOLDFAST_CALLS_H_
#define HOLDFAST_CALLS_H_

#include <napi.h>

#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "arguments.h"
#include "result.h"
#include "values.h"

namespace holdfast {

class Watches;

// What belongs to one JavaScript environment (the main thread, or a worker).
struct Addon {
  // (number, name, call, reason, subject) → the error to throw; set by TypeScript.
  Napi::FunctionReference make_error;
  // Made when the first descriptor is watched; closes itself when the environment ends.
  Watches* watches = nullptr;
};

// The error of a failed call. `subject` is the path it was about, or null.
Napi::Value ErrorOf(Napi::Env env, const Failure& failure, const Path* subject);

// Both give the empty value, to be returned; an exception that is pending already stays.
Napi::Value Throw(Napi::Env env, Napi::Value error);
// Throws that argument `index` (from 0) of `call` is not as `expected`.
Napi::Value ThrowArgument(Napi::Env env, const char* call, size_t index, const char* expected);

template <typename... A>
const Path* SubjectOf(const std::tuple<A...>& arguments) {
  const Path* subject = nullptr;
  const auto look = [&subject](const auto& argument) {
    if constexpr (std::is_same_v<std::decay_t<decltype(argument)>, Path>) {
      if (subject == nullptr) subject = &argument;
    }
  };
  std::apply([&look](const A&... argument) { (look(argument), ...); }, arguments);
  return subject;
}

// A list after Bytes could run a getter that detaches the memory which was just looked up.
template <typename... A>
constexpr bool ListsComeFirst() {
  [[maybe_unused]] bool bytes = false;
  bool sound = true;
  ((sound = sound && !(kIsList<A> && bytes), bytes = bytes || std::is_same_v<A, Bytes>), ...);
  return sound;
}

template <auto Function>
struct Binding;

template <typename R, typename... A, Result<R> (*Function)(A...)>
struct Binding<Function> {
  using Arguments = std::tuple<std::decay_t<A>...>;
  static_assert(ListsComeFirst<std::decay_t<A>...>(), "lists are read before Bytes");

  static Napi::Value Call(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const auto arguments = Read(info, std::index_sequence_for<A...>());
    if (!arguments) return Napi::Value();
    const Result<R> result = std::apply(Function, *arguments);
    if (const auto* failure = std::get_if<Failure>(&result)) {
      return Throw(env, ErrorOf(env, *failure, SubjectOf(*arguments)));
    }
    return ToJs(env, std::get<R>(result));
  }

  static Napi::Value Start(const Napi::CallbackInfo& info) {
    static_assert(!(std::is_same_v<std::decay_t<A>, Bytes> || ...), "JavaScript's memory may move meanwhile");
    auto arguments = Read(info, std::index_sequence_for<A...>());
    if (!arguments) return Napi::Value();
    auto* task = new Task(info.Env(), std::move(*arguments));
    task->Queue();
    return task->promise();
  }

 private:
  class Task : public Napi::AsyncWorker {
   public:
    Task(Napi::Env env, Arguments arguments)
        : Napi::AsyncWorker(env, "holdfast"),
          deferred_(Napi::Promise::Deferred::New(env)),
          arguments_(std::move(arguments)) {}

    Napi::Promise promise() const { return deferred_.Promise(); }

    void Execute() override { result_.emplace(std::apply(Function, arguments_)); }

    void OnOK() override {
      if (const auto* failure = std::get_if<Failure>(&*result_)) {
        deferred_.Reject(ErrorOf(Env(), *failure, SubjectOf(arguments_)));
      } else {
        deferred_.Resolve(ToJs(Env(), std::get<R>(*result_)));
      }
    }

   private:
    Napi::Promise::Deferred deferred_;
    Arguments arguments_;
    std::optional<Result<R>> result_;
  };

  template <size_t... I>
  static std::optional<Arguments> Read(const Napi::CallbackInfo& info, std::index_sequence<I...>) {
    std::tuple<std::optional<std::decay_t<A>>...> read;
    const bool sound = (ReadOne<std::decay_t<A>>(info, I, std::get<I>(read)) && ...);
    if (!sound) return std::nullopt;
    return Arguments{std::move(*std::get<I>(read))...};
  }

  template <typename T>
  static bool ReadOne(const Napi::CallbackInfo& info, size_t index, std::optional<T>& into) {
    into = Argument<T>::Read(info[index]);
    if (into) return true;
    ThrowArgument(info.Env(), static_cast<const char*>(info.Data()), index, Argument<T>::kExpected);
    return false;
  }
};

// `name` must live as long as the process: a literal.
template <auto Function>
void Add(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<Binding<Function>::Call>(exports.Env(), name, const_cast<char*>(name)));
}

template <auto Function>
void AddAsync(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<Binding<Function>::Start>(exports.Env(), name, const_cast<char*>(name)));
}

// One for each topic; called once an environment.
void AddDescriptors(Napi::Object exports);
void AddFiles(Napi::Object exports);
void AddFork(Napi::Object exports);
void AddMounts(Napi::Object exports);
void AddPoller(Napi::Object exports);
void AddProcess(Napi::Object exports);
void AddSockets(Napi::Object exports);
void AddTerminals(Napi::Object exports);
void AddTree(Napi::Object exports);

}  // namespace holdfast

#endif  // HOLDFAST_CALLS_H_
