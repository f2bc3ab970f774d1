// What launch() of launch.cuh does beside launching: choices of the host, which asks for them here.
#pragma once

#include <cstdlib>

namespace lockstep::cuda {

/// Makes every launch wait for its end, so that a fault names its kernel: LS_SYNC_LAUNCHES=1.
/// Nothing can wait inside a capture: launches are not captured then.
inline bool synchronous_launches() {
  const char* value = std::getenv("LS_SYNC_LAUNCHES");
  return value != nullptr && value[0] == '1';
}

/// While one lives, launches of this thread bring their kernels to the device and run nothing. A
/// kernel comes when it is first named, which may wait for the device, and so has to be there
/// before a capture launches it.
class KernelLoading {
 public:
  KernelLoading() { on() = true; }
  ~KernelLoading() { on() = false; }
  KernelLoading(const KernelLoading&) = delete;
  KernelLoading& operator=(const KernelLoading&) = delete;

  static bool& on() {
    thread_local bool value = false;
    return value;
  }
};

}  // namespace lockstep::cuda
