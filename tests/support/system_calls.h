// The system calls that writing files takes, taken over at link time: they can be made to fail or
// to kill the process at the n-th call, and they can be recorded. Include it in one file of a test
// only; calls from inside libc (fopen, opendir) are not seen.
#pragma once

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <map>
#include <string>
#include <vector>

namespace {

enum class Fault { kNone, kKillBefore, kKillAfter, kError, kShortWrite };

struct Plan {
  Fault fault = Fault::kNone;
  int error = 0;             // errno of kError
  int call = -1;             // index of the call that fails
  bool for_ever = false;     // that call and all after it
  bool no_exchange = false;  // a file system that cannot exchange two folders in one step
};

// Calls are counted and fail only while `counting`.
Plan plan;
int calls = 0;
bool counting = false;

// What happened to which path, while `recording`: "write", "fsync", "rename" (of the new name), ...
struct Event {
  std::string call, path;
};
bool recording = false;
std::vector<Event> events;
std::map<int, std::string> open_paths;

void record(const char* call, int fd) {
  if (recording) events.push_back({call, open_paths[fd]});
}
void record(const char* call, const char* path) {
  if (recording) events.push_back({call, path});
}

// Whether this call has to fail; kills the process where that is the plan.
bool faulty(bool can_be_interrupted) {
  if (!counting) return false;
  const int index = calls++;
  const bool hit = index == plan.call || (plan.for_ever && index > plan.call);
  if (!hit || plan.fault == Fault::kNone) return false;
  if (plan.fault == Fault::kKillBefore) ::raise(SIGKILL);
  if (plan.fault != Fault::kError || (plan.error == EINTR && !can_be_interrupted)) return false;
  errno = plan.error;
  return true;
}

template <typename Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

template <typename Result>
Result done(Result result) {
  if (counting && plan.fault == Fault::kKillAfter && calls - 1 == plan.call) ::raise(SIGKILL);
  return result;
}

}  // namespace

// The system calls of the save path. A fault makes them fail without doing anything.
extern "C" {
int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  static const auto call = real<int (*)(const char*, int, ...)>("open");
  const int fd = faulty(true) ? -1 : done(call(path, flags, mode));
  if (recording) open_paths[fd] = path;
  return fd;
}
ssize_t write(int fd, const void* bytes, size_t count) {
  static const auto call = real<ssize_t (*)(int, const void*, size_t)>("write");
  record("write", fd);
  const bool cut = counting && plan.fault == Fault::kShortWrite && count > 1 &&
                   (calls == plan.call || (plan.for_ever && calls > plan.call));
  return faulty(true) ? -1 : done(call(fd, bytes, cut ? count / 2 : count));
}
int fsync(int fd) {
  static const auto call = real<int (*)(int)>("fsync");
  record("fsync", fd);
  return faulty(true) ? -1 : done(call(fd));
}
int close(int fd) {
  // a failing close still closes, as on Linux
  static const auto call = real<int (*)(int)>("close");
  const bool fails = faulty(true);
  const int error = errno, result = call(fd);
  errno = fails ? error : errno;
  return fails ? -1 : done(result);
}
int mkdir(const char* path, mode_t mode) noexcept {
  static const auto call = real<int (*)(const char*, mode_t)>("mkdir");
  return faulty(false) ? -1 : done(call(path, mode));
}
int rename(const char* from, const char* to) noexcept {
  static const auto call = real<int (*)(const char*, const char*)>("rename");
  record("rename", to);
  return faulty(false) ? -1 : done(call(from, to));
}
int renameat2(int from_fd, const char* from, int to_fd, const char* to, unsigned flags) noexcept {
  static const auto call = real<int (*)(int, const char*, int, const char*, unsigned)>("renameat2");
  record("rename", to);
  if (counting && plan.no_exchange) return errno = EINVAL, -1;
  return faulty(false) ? -1 : done(call(from_fd, from, to_fd, to, flags));
}
int symlink(const char* target, const char* path) noexcept {
  static const auto call = real<int (*)(const char*, const char*)>("symlink");
  return faulty(false) ? -1 : done(call(target, path));
}
int unlink(const char* path) noexcept {
  static const auto call = real<int (*)(const char*)>("unlink");
  return faulty(false) ? -1 : done(call(path));
}
int unlinkat(int fd, const char* path, int flags) noexcept {
  static const auto call = real<int (*)(int, const char*, int)>("unlinkat");
  return faulty(false) ? -1 : done(call(fd, path, flags));
}
}
