// Reads JavaScript values as the arguments of a call. A value of the wrong type or out of range is refused here, so a
// call sees only what its parameter types promise.
#ifndef HOLDFAST_ARGUMENTS_H_
#define HOLDFAST_ARGUMENTS_H_

#include <napi.h>

#include <climits>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

// Longest string given to execve, bytes, without its end. Source: MAX_ARG_STRLEN, 32 pages of 4 KiB.
inline constexpr size_t kTextBytesMax = 32 * 4096 - 1;
// Longest path, bytes, without its end. Source: PATH_MAX.
inline constexpr size_t kPathBytesMax = PATH_MAX - 1;
// Most items in a list (argv, env, descriptors); an exec fails with E2BIG long before.
inline constexpr uint32_t kListItemsMax = 1 << 16;

struct Fd {
  int value;
};
struct Pid {
  int value;
};
struct Signal {
  int value;
};
// A count of bytes or an offset into a file.
struct Size {
  int64_t value;
};
struct Path {
  std::string value;
  const char* c_str() const { return value.c_str(); }
};
// Text without NUL, empty or not.
struct Text {
  std::string value;
  const char* c_str() const { return value.c_str(); }
};
// A path or name of any bytes: a JavaScript string of which each character is one byte ("latin1").
struct Octets {
  std::string value;
  const char* c_str() const { return value.c_str(); }
};
// Memory that belongs to JavaScript: valid until JavaScript runs again.
struct Bytes {
  uint8_t* data;
  size_t length;
};

template <typename T>
struct Argument;

inline std::optional<double> ReadInteger(Napi::Value value, double low, double high) {
  if (!value.IsNumber()) return std::nullopt;
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= low && number <= high) || std::trunc(number) != number) return std::nullopt;
  return number;
}

// The length is asked first: text that is too long is never copied.
inline std::optional<std::string> ReadText(Napi::Value value, size_t low, size_t high) {
  if (!value.IsString()) return std::nullopt;
  size_t length = 0;
  if (napi_get_value_string_utf8(value.Env(), value, nullptr, 0, &length) != napi_ok) return std::nullopt;
  if (length < low || length > high) return std::nullopt;
  std::string text = value.As<Napi::String>().Utf8Value();
  if (text.find('\0') != std::string::npos) return std::nullopt;
  return text;
}

// For the kinds that are one integer in a struct of their own.
template <typename T, int64_t low, int64_t high>
struct IntegerArgument {
  static std::optional<T> Read(Napi::Value value) {
    const auto number = ReadInteger(value, static_cast<double>(low), static_cast<double>(high));
    if (!number) return std::nullopt;
    return T{static_cast<decltype(T::value)>(*number)};
  }
};

template <>
struct Argument<Fd> : IntegerArgument<Fd, 0, INT_MAX> {
  static constexpr const char* kExpected = "a descriptor (0 or more)";
};

template <>
struct Argument<Pid> : IntegerArgument<Pid, 1, INT_MAX> {
  static constexpr const char* kExpected = "a process id (1 or more)";
};

template <>
struct Argument<Signal> : IntegerArgument<Signal, 0, 64> {
  static constexpr const char* kExpected = "a signal number (0 to 64)";
};

template <>
struct Argument<Size> : IntegerArgument<Size, 0, (1LL << 53) - 1> {
  static constexpr const char* kExpected = "a whole number of bytes (0 or more)";
};

template <>
struct Argument<uint32_t> {
  static constexpr const char* kExpected = "a whole number (0 to 4294967295)";
  static std::optional<uint32_t> Read(Napi::Value value) {
    const auto number = ReadInteger(value, 0, UINT32_MAX);
    if (!number) return std::nullopt;
    return static_cast<uint32_t>(*number);
  }
};

template <>
struct Argument<uint16_t> {
  static constexpr const char* kExpected = "a whole number (0 to 65535)";
  static std::optional<uint16_t> Read(Napi::Value value) {
    const auto number = ReadInteger(value, 0, UINT16_MAX);
    if (!number) return std::nullopt;
    return static_cast<uint16_t>(*number);
  }
};

template <>
struct Argument<bool> {
  static constexpr const char* kExpected = "a boolean";
  static std::optional<bool> Read(Napi::Value value) {
    if (!value.IsBoolean()) return std::nullopt;
    return value.As<Napi::Boolean>().Value();
  }
};

template <>
struct Argument<int64_t> {
  static constexpr const char* kExpected = "a bigint of 64 bits";
  static std::optional<int64_t> Read(Napi::Value value) {
    if (!value.IsBigInt()) return std::nullopt;
    bool lossless = false;
    const int64_t number = value.As<Napi::BigInt>().Int64Value(&lossless);
    if (!lossless) return std::nullopt;
    return number;
  }
};

template <>
struct Argument<uint64_t> {
  static constexpr const char* kExpected = "a bigint of 64 bits, 0 or more";
  static std::optional<uint64_t> Read(Napi::Value value) {
    if (!value.IsBigInt()) return std::nullopt;
    bool lossless = false;
    const uint64_t number = value.As<Napi::BigInt>().Uint64Value(&lossless);
    if (!lossless) return std::nullopt;
    return number;
  }
};

template <>
struct Argument<Path> {
  static constexpr const char* kExpected = "a path of 1 to 4095 bytes without NUL";
  static std::optional<Path> Read(Napi::Value value) {
    auto text = ReadText(value, 1, kPathBytesMax);
    if (!text) return std::nullopt;
    return Path{std::move(*text)};
  }
};

template <>
struct Argument<Text> {
  static constexpr const char* kExpected = "a string of at most 131071 bytes without NUL";
  static std::optional<Text> Read(Napi::Value value) {
    auto text = ReadText(value, 0, kTextBytesMax);
    if (!text) return std::nullopt;
    return Text{std::move(*text)};
  }
};

template <>
struct Argument<Octets> {
  static constexpr const char* kExpected = "a path of at most 4095 bytes without NUL, one character a byte";
  static std::optional<Octets> Read(Napi::Value value) {
    if (!value.IsString()) return std::nullopt;
    size_t length = 0;
    if (napi_get_value_string_latin1(value.Env(), value, nullptr, 0, &length) != napi_ok) return std::nullopt;
    if (length > kPathBytesMax) return std::nullopt;
    std::string text(length + 1, '\0');
    if (napi_get_value_string_latin1(value.Env(), value, text.data(), length + 1, &length) != napi_ok)
      return std::nullopt;
    text.resize(length);
    if (text.find('\0') != std::string::npos) return std::nullopt;
    return Octets{std::move(text)};
  }
};

template <>
struct Argument<Bytes> {
  static constexpr const char* kExpected = "a Uint8Array";
  static std::optional<Bytes> Read(Napi::Value value) {
    if (!value.IsTypedArray()) return std::nullopt;
    napi_typedarray_type type;
    void* data = nullptr;
    size_t length = 0;
    if (napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr) != napi_ok)
      return std::nullopt;
    if (type != napi_uint8_array) return std::nullopt;
    return Bytes{static_cast<uint8_t*>(data), length};
  }
};

// Reading an item may run a getter; an exception of its own is left pending.
template <typename T>
struct Argument<std::vector<T>> {
  static constexpr const char* kExpected = "an array (of valid items)";
  static std::optional<std::vector<T>> Read(Napi::Value value) {
    if (!value.IsArray()) return std::nullopt;
    const Napi::Array array = value.As<Napi::Array>();
    const uint32_t length = array.Length();
    if (length > kListItemsMax) return std::nullopt;
    std::vector<T> items;
    items.reserve(length);
    for (uint32_t index = 0; index < length; ++index) {
      const Napi::HandleScope scope(value.Env());
      const Napi::Value item = array.Get(index);
      if (item.IsEmpty()) return std::nullopt;
      auto read = Argument<T>::Read(item);
      if (!read) return std::nullopt;
      items.push_back(std::move(*read));
    }
    return items;
  }
};

template <typename T>
inline constexpr bool kIsList = false;
template <typename T>
inline constexpr bool kIsList<std::vector<T>> = true;

}  // namespace holdfast

#endif  // HOLDFAST_ARGUMENTS_H_
