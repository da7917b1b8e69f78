// The addon's entry, and how a failure becomes the error that TypeScript throws.
#include <cstring>
#include <string>

#include "calls.h"

namespace holdfast {

namespace {

Napi::Value OrUndefined(Napi::Env env, const char* text) {
  return text == nullptr ? env.Undefined() : Napi::String::New(env, text);
}

// TypeScript's class for errors is not known here; it leaves a function that makes one.
Napi::Value SetErrorFactory(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsFunction()) return ThrowArgument(env, "setErrorFactory", 0, "a function");
  env.GetInstanceData<Addon>()->make_error = Napi::Persistent(info[0].As<Napi::Function>());
  return env.Undefined();
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Addon);
  exports.Set("setErrorFactory", Napi::Function::New<SetErrorFactory>(env, "setErrorFactory"));
  AddDescriptors(exports);
  AddFiles(exports);
  AddFork(exports);
  AddMounts(exports);
  AddPoller(exports);
  AddProcess(exports);
  AddSockets(exports);
  AddTerminals(exports);
  AddTree(exports);
  return exports;
}

}  // namespace

Napi::Value ErrorOf(Napi::Env env, const Failure& failure, const Path* subject) {
  const Napi::FunctionReference& make_error = env.GetInstanceData<Addon>()->make_error;
  if (make_error.IsEmpty()) return Napi::Error::New(env, failure.call).Value();
  const char* reason = failure.reason == nullptr ? strerrordesc_np(failure.number) : failure.reason;
  return make_error.Call({Napi::Number::New(env, failure.number), OrUndefined(env, strerrorname_np(failure.number)),
                          Napi::String::New(env, failure.call), OrUndefined(env, reason),
                          OrUndefined(env, subject == nullptr ? nullptr : subject->c_str())});
}

Napi::Value Throw(Napi::Env env, Napi::Value error) {
  // Empty: making the error threw, and that exception is pending.
  if (!error.IsEmpty() && !env.IsExceptionPending()) napi_throw(env, error);
  return Napi::Value();
}

Napi::Value ThrowArgument(Napi::Env env, const char* call, size_t index, const char* expected) {
  if (env.IsExceptionPending()) return Napi::Value();
  const std::string reason = "argument " + std::to_string(index + 1) + " must be " + expected;
  return Throw(env, ErrorOf(env, Refused(call, reason.c_str()), nullptr));
}

NODE_API_MODULE(holdfast, Init)

}  // namespace holdfast
