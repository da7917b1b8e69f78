// Watches descriptors. All watches of an environment share one epoll instance, and libuv's loop watches that: libuv
// alone would make the descriptor non-blocking for everybody who shares it, and stops at POLLERR. A watch is a number
// here and a class in TypeScript, so no JavaScript object holds a pointer.
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <uv.h>

#include <array>
#include <map>
#include <memory>
#include <utility>

#include "calls.h"
#include "descriptor.h"
#include "poller.h"

namespace holdfast {

namespace {

// Events taken from the kernel at once; what is left over comes on the next turn of the loop.
constexpr int kEventsMax = 64;

struct Watch {
  Watch(Descriptor watched, uint32_t wanted, Napi::Function function)
      : fd(std::move(watched)),
        events(wanted),
        callback(Napi::Persistent(function)),
        context(function.Env(), "holdfast.Poller") {}

  // A copy, so that the owner may close theirs.
  const Descriptor fd;
  const uint32_t events;
  const Napi::FunctionReference callback;
  const Napi::AsyncContext context;
  // Keeps the loop, and so the process, going.
  bool referenced = true;
};

}  // namespace

class Watches {
 public:
  static Result<Watches*> Of(Napi::Env env) {
    Addon* addon = env.GetInstanceData<Addon>();
    if (addon->watches != nullptr) return addon->watches;
    Descriptor epoll(epoll_create1(EPOLL_CLOEXEC));
    if (!epoll.valid()) return Failed("epoll_create1");
    uv_loop_t* loop = nullptr;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) return Refused("uv_poll_init", "the environment is ending");
    auto watches = std::unique_ptr<Watches>(new Watches(env, std::move(epoll)));
    const int status = uv_poll_init(loop, &watches->handle_, watches->epoll_.get());
    if (status < 0) return Failure{-status, "uv_poll_init"};
    watches->handle_.data = watches.get();
    uv_poll_start(&watches->handle_, UV_READABLE, OnReadable);
    napi_add_async_cleanup_hook(env, OnTeardown, watches.get(), &watches->cleanup_);
    watches->CountReferences();
    return addon->watches = watches.release();
  }

  Result<uint32_t> Start(Descriptor fd, uint32_t events, Napi::Function callback) {
    const uint32_t id = next_id_++;
    if (!Register(epoll_.get(), id, fd.get(), events)) return Failed("epoll_ctl");
    watches_.emplace(id, std::make_shared<Watch>(std::move(fd), events, callback));
    CountReferences();
    return id;
  }

  void Stop(uint32_t id) {
    const auto found = watches_.find(id);
    if (found == watches_.end()) return;
    // Closing is not enough: the same open file may live on under the owner's number.
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second->fd.get(), nullptr);
    watches_.erase(found);
    CountReferences();
  }

  void Reference(uint32_t id, bool on) {
    const auto found = watches_.find(id);
    if (found != watches_.end()) found->second->referenced = on;
    CountReferences();
  }

  // The epoll instance of before belongs to the parent: what is taken from it would be taken from the parent's watches.
  bool Renew() {
    const Descriptor fresh(epoll_create1(EPOLL_CLOEXEC));
    if (!fresh.valid()) return false;
    for (const auto& [id, watch] : watches_) {
      if (!Register(fresh.get(), id, watch->fd.get(), watch->events)) return false;
    }
    // The same number, which libuv knows.
    return dup3(fresh.get(), epoll_.get(), O_CLOEXEC) >= 0;
  }

 private:
  static bool Register(int epoll, uint32_t id, int fd, uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.u32 = id;
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
  }

  Watches(Napi::Env env, Descriptor epoll) : env_(env), epoll_(std::move(epoll)) {}

  void CountReferences() {
    auto* handle = reinterpret_cast<uv_handle_t*>(&handle_);
    for (const auto& [id, watch] : watches_) {
      if (watch->referenced) return uv_ref(handle);
    }
    uv_unref(handle);
  }

  static void OnReadable(uv_poll_t* handle, int, int) { static_cast<Watches*>(handle->data)->Dispatch(); }

  void Dispatch() {
    std::array<epoll_event, kEventsMax> events;
    const int count = epoll_wait(epoll_.get(), events.data(), kEventsMax, 0);
    for (int index = 0; index < count; ++index) {
      // An earlier callback of this turn may have closed it. Held here, because its own callback may close it too.
      const auto found = watches_.find(events[index].data.u32);
      if (found == watches_.end()) continue;
      const std::shared_ptr<Watch> watch = found->second;
      Deliver(*watch, events[index].events);
    }
  }

  void Deliver(const Watch& watch, uint32_t events) {
    const Napi::HandleScope scope(env_);
    napi_value argument = Napi::Number::New(env_, events);
    napi_value result = nullptr;
    const napi_status status =
        napi_make_callback(env_, watch.context, Napi::Object::New(env_), watch.callback.Value(), 1, &argument, &result);
    if (status != napi_pending_exception) return;
    napi_value exception = nullptr;
    if (napi_get_and_clear_last_exception(env_, &exception) == napi_ok) napi_fatal_exception(env_, exception);
  }

  static void OnTeardown(napi_async_cleanup_hook_handle, void* data) {
    auto* watches = static_cast<Watches*>(data);
    Napi::Env(watches->env_).GetInstanceData<Addon>()->watches = nullptr;
    watches->watches_.clear();
    uv_close(reinterpret_cast<uv_handle_t*>(&watches->handle_), OnClosed);
  }

  static void OnClosed(uv_handle_t* handle) {
    const std::unique_ptr<Watches> watches(static_cast<Watches*>(handle->data));
    napi_remove_async_cleanup_hook(watches->cleanup_);
  }

  napi_env env_;
  Descriptor epoll_;
  uv_poll_t handle_{};
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  std::map<uint32_t, std::shared_ptr<Watch>> watches_;
  uint32_t next_id_ = 1;
};

namespace {

// watch(fd, events, callback) → the watch's number.
Napi::Value StartWatch(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto fd = Argument<Fd>::Read(info[0]);
  if (!fd) return ThrowArgument(env, "watch", 0, Argument<Fd>::kExpected);
  const auto events = Argument<uint16_t>::Read(info[1]);
  if (!events) return ThrowArgument(env, "watch", 1, Argument<uint16_t>::kExpected);
  if (!info[2].IsFunction()) return ThrowArgument(env, "watch", 2, "a function");
  Descriptor copy(fcntl(fd->value, F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return Throw(env, ErrorOf(env, Failed("fcntl"), nullptr));
  const Result<Watches*> watches = Watches::Of(env);
  if (const auto* failure = std::get_if<Failure>(&watches)) return Throw(env, ErrorOf(env, *failure, nullptr));
  const Result<uint32_t> id =
      std::get<Watches*>(watches)->Start(std::move(copy), *events, info[2].As<Napi::Function>());
  if (const auto* failure = std::get_if<Failure>(&id)) return Throw(env, ErrorOf(env, *failure, nullptr));
  return ToJs(env, std::get<uint32_t>(id));
}

// unwatch(number); one that is not there any more is no error.
Napi::Value StopWatch(const Napi::CallbackInfo& info) {
  const auto id = Argument<uint32_t>::Read(info[0]);
  if (!id) return ThrowArgument(info.Env(), "unwatch", 0, Argument<uint32_t>::kExpected);
  Watches* watches = info.Env().GetInstanceData<Addon>()->watches;
  if (watches != nullptr) watches->Stop(*id);
  return info.Env().Undefined();
}

// referenceWatch(number, on): whether the watch keeps the process going.
Napi::Value ReferenceWatch(const Napi::CallbackInfo& info) {
  const auto id = Argument<uint32_t>::Read(info[0]);
  if (!id) return ThrowArgument(info.Env(), "referenceWatch", 0, Argument<uint32_t>::kExpected);
  const auto on = Argument<bool>::Read(info[1]);
  if (!on) return ThrowArgument(info.Env(), "referenceWatch", 1, Argument<bool>::kExpected);
  Watches* watches = info.Env().GetInstanceData<Addon>()->watches;
  if (watches != nullptr) watches->Reference(*id, *on);
  return info.Env().Undefined();
}

}  // namespace

bool RenewWatches(Napi::Env env) {
  Watches* watches = env.GetInstanceData<Addon>()->watches;
  return watches == nullptr || watches->Renew();
}

void AddPoller(Napi::Object exports) {
  const Napi::Env env = exports.Env();
  exports.Set("watch", Napi::Function::New<StartWatch>(env, "watch"));
  exports.Set("unwatch", Napi::Function::New<StopWatch>(env, "unwatch"));
  exports.Set("referenceWatch", Napi::Function::New<ReferenceWatch>(env, "referenceWatch"));
}

}  // namespace holdfast
