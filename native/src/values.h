// Gives the results of calls to JavaScript. Several values are an array: TypeScript gives them names.
#ifndef HOLDFAST_VALUES_H_
#define HOLDFAST_VALUES_H_

#include <napi.h>

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "arguments.h"
#include "result.h"

namespace holdfast {

inline Napi::Value ToJs(Napi::Env env, Nothing) { return env.Undefined(); }
inline Napi::Value ToJs(Napi::Env env, bool value) { return Napi::Boolean::New(env, value); }
inline Napi::Value ToJs(Napi::Env env, int value) { return Napi::Number::New(env, value); }
inline Napi::Value ToJs(Napi::Env env, uint32_t value) { return Napi::Number::New(env, value); }
inline Napi::Value ToJs(Napi::Env env, uint64_t value) { return Napi::BigInt::New(env, value); }
inline Napi::Value ToJs(Napi::Env env, int64_t value) { return Napi::BigInt::New(env, value); }
inline Napi::Value ToJs(Napi::Env env, Fd fd) { return Napi::Number::New(env, fd.value); }
inline Napi::Value ToJs(Napi::Env env, Size size) { return Napi::Number::New(env, static_cast<double>(size.value)); }
inline Napi::Value ToJs(Napi::Env env, const Text& text) { return Napi::String::New(env, text.value); }
inline Napi::Value ToJs(Napi::Env env, const Octets& octets) {
  napi_value text = nullptr;
  napi_create_string_latin1(env, octets.value.data(), octets.value.size(), &text);
  return Napi::Value(env, text);
}
inline Napi::Value ToJs(Napi::Env env, const std::vector<uint8_t>& bytes) {
  return Napi::Buffer<uint8_t>::Copy(env, bytes.data(), bytes.size());
}

// Declared before they are used, because they are made of each other.
template <typename T>
Napi::Value ToJs(Napi::Env env, const std::vector<T>& items);
template <typename... T>
Napi::Value ToJs(Napi::Env env, const std::tuple<T...>& values);
// No value is `undefined`: what would have to wait, what is not there.
template <typename T>
Napi::Value ToJs(Napi::Env env, const std::optional<T>& value);

template <typename T>
Napi::Value ToJs(Napi::Env env, const std::vector<T>& items) {
  Napi::Array array = Napi::Array::New(env, items.size());
  for (uint32_t index = 0; index < items.size(); ++index) array.Set(index, ToJs(env, items[index]));
  return array;
}

template <typename... T>
Napi::Value ToJs(Napi::Env env, const std::tuple<T...>& values) {
  Napi::Array array = Napi::Array::New(env, sizeof...(T));
  uint32_t index = 0;
  std::apply([&](const T&... value) { (array.Set(index++, ToJs(env, value)), ...); }, values);
  return array;
}

template <typename T>
Napi::Value ToJs(Napi::Env env, const std::optional<T>& value) {
  return value ? ToJs(env, *value) : env.Undefined();
}

}  // namespace holdfast

#endif  // HOLDFAST_VALUES_H_
