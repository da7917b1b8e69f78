// Unix sockets: descriptors as messages, who the peer is, listening with a mode that holds from the first moment.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <optional>
#include <tuple>
#include <vector>

#include "calls.h"
#include "descriptor.h"

namespace holdfast {

namespace {

// Most descriptors in one message. Source: SCM_MAX_FD in the kernel.
constexpr size_t kMessageFdsMax = 253;
// Most bytes of one message with descriptors; they carry a few words, never bulk.
constexpr int64_t kMessageBytesMax = 1 << 20;

Result<std::optional<Size>> SendDescriptors(Fd socket, const std::vector<Fd>& fds, Bytes data) {
  if (fds.size() > kMessageFdsMax) return Refused("sendmsg", "more than 253 descriptors");
  // On a stream socket descriptors travel with a byte; without one they would be dropped silently.
  if (data.length == 0) return Refused("sendmsg", "the data is empty");
  iovec bytes{data.data, data.length};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(kMessageFdsMax * sizeof(int))] = {};
  if (!fds.empty()) {
    const size_t length = fds.size() * sizeof(int);
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(length);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(length);
    for (size_t index = 0; index < fds.size(); ++index)
      std::memcpy(CMSG_DATA(header) + index * sizeof(int), &fds[index].value, sizeof(int));
  }
  const ssize_t sent = Retry([&] { return sendmsg(socket.value, &message, MSG_DONTWAIT | MSG_NOSIGNAL); });
  if (sent >= 0) return Size{sent};
  if (errno == EAGAIN) return std::nullopt;
  return Failed("sendmsg");
}

// Takes every descriptor of the message, so that none is leaked whatever is said about it afterwards.
std::vector<Descriptor> TakeDescriptors(msghdr& message) {
  std::vector<Descriptor> taken;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t index = 0; index < count; ++index) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + index * sizeof(int), sizeof(int));
      taken.emplace_back(fd);
    }
  }
  return taken;
}

using Received = std::tuple<std::vector<uint8_t>, std::vector<Fd>>;

Result<std::optional<Received>> ReceiveDescriptors(Fd socket, Size bytes_max, Size fds_max) {
  if (bytes_max.value < 1 || bytes_max.value > kMessageBytesMax)
    return Refused("recvmsg", "bytesMax is not 1 to 1048576");
  if (fds_max.value > static_cast<int64_t>(kMessageFdsMax)) return Refused("recvmsg", "fdsMax is over 253");
  std::vector<uint8_t> data(bytes_max.value);
  iovec bytes{data.data(), data.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kMessageFdsMax * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control;
  // CMSG_LEN, not CMSG_SPACE: the padding would let one descriptor more through.
  message.msg_controllen = fds_max.value == 0 ? 0 : CMSG_LEN(fds_max.value * sizeof(int));
  const ssize_t received = Retry([&] { return recvmsg(socket.value, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC); });
  if (received < 0) {
    if (errno == EAGAIN) return std::nullopt;
    return Failed("recvmsg");
  }
  std::vector<Descriptor> taken = TakeDescriptors(message);
  if ((message.msg_flags & MSG_CTRUNC) != 0) return Failure{ETOOMANYREFS, "recvmsg", "more descriptors than allowed"};
  if ((message.msg_flags & MSG_TRUNC) != 0) return Failure{EMSGSIZE, "recvmsg", "a message longer than bytesMax"};
  data.resize(received);
  std::vector<Fd> fds;
  for (Descriptor& descriptor : taken) fds.push_back(Fd{descriptor.Release()});
  return Received(std::move(data), std::move(fds));
}

Result<std::tuple<int, uint32_t, uint32_t>> PeerCredentials(Fd socket) {
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (getsockopt(socket.value, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) return Failed("getsockopt");
  return std::tuple(peer.pid, peer.uid, peer.gid);
}

struct Address {
  sockaddr_un name{};
  socklen_t length = 0;
};

constexpr Failure kPathTooLong = {ENAMETOOLONG, "bind", "a socket path may have 107 bytes"};

// A path in the file system, or none if it is too long: sun_path needs its end.
std::optional<Address> AddressOf(const Path& path) {
  Address address;
  if (path.value.size() >= sizeof(address.name.sun_path)) return std::nullopt;
  address.name.sun_family = AF_UNIX;
  std::memcpy(address.name.sun_path, path.c_str(), path.value.size() + 1);
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.value.size() + 1);
  return address;
}

// "@name" is written as NUL and name, without an end: every byte counts in an abstract name.
void MakeAbstract(Address& address) {
  address.name.sun_path[0] = '\0';
  address.length -= 1;
}

Descriptor UnixSocket(int type) { return Descriptor(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); }

Result<Fd> ListenUnix(const Path& path, uint32_t mode, uint32_t backlog) {
  const auto address = AddressOf(path);
  if (!address) return kPathTooLong;
  Descriptor listener = UnixSocket(SOCK_STREAM);
  if (!listener.valid()) return Failed("socket");
  // bind gives the file the mode of the socket less the umask. The umask itself is the whole process's: changing it
  // for a moment would change files that other threads make meanwhile.
  if (fchmod(listener.get(), mode) < 0) return Failed("fchmod");
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&address->name), address->length) < 0)
    return Failed("bind");
  // Only what the umask took away is added here.
  if (fchmodat(AT_FDCWD, path.c_str(), mode, AT_SYMLINK_NOFOLLOW) < 0 || listen(listener.get(), backlog) < 0) {
    const Failure failure = Failed("listen");
    unlink(path.c_str());
    return failure;
  }
  return Fd{listener.Release()};
}

Result<Fd> ConnectUnix(const Path& path) {
  const auto address = AddressOf(path);
  if (!address) return Failure{kPathTooLong.number, "connect", kPathTooLong.reason};
  Descriptor client = UnixSocket(SOCK_STREAM);
  if (!client.valid()) return Failed("socket");
  const auto call = [&] {
    return connect(client.get(), reinterpret_cast<const sockaddr*>(&address->name), address->length);
  };
  if (Retry(call) < 0) return Failed("connect");
  return Fd{client.Release()};
}

Result<Nothing> SendDatagram(const Path& path, Bytes data) {
  auto address = AddressOf(path);
  if (!address) return Failure{kPathTooLong.number, "sendto", kPathTooLong.reason};
  if (path.value.front() == '@') MakeAbstract(*address);
  const Descriptor sender = UnixSocket(SOCK_DGRAM);
  if (!sender.valid()) return Failed("socket");
  const auto call = [&] {
    return sendto(sender.get(), data.data, data.length, MSG_NOSIGNAL,
                  reinterpret_cast<const sockaddr*>(&address->name), address->length);
  };
  if (Retry(call) < 0) return Failed("sendto");
  return Nothing{};
}

}  // namespace

void AddSockets(Napi::Object exports) {
  Add<SendDescriptors>(exports, "sendDescriptors");
  Add<ReceiveDescriptors>(exports, "receiveDescriptors");
  Add<PeerCredentials>(exports, "peerCredentials");
  Add<ListenUnix>(exports, "listenUnix");
  Add<ConnectUnix>(exports, "connectUnix");
  Add<SendDatagram>(exports, "sendDatagram");
}

}  // namespace holdfast
