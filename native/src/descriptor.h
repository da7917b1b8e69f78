#ifndef HOLDFAST_DESCRIPTOR_H_
#define HOLDFAST_DESCRIPTOR_H_

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace holdfast {

// Owns a descriptor until `Release`; closes it on every other way out.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.Release()) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;

  ~Descriptor() {
    if (fd_ < 0) return;
    // The failure that led here is still to be reported.
    const int kept = errno;
    close(fd_);
    errno = kept;
  }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace holdfast

#endif  // HOLDFAST_DESCRIPTOR_H_
