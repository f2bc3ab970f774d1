// What a test may ask of the emulator and change in it while it runs. Host code under test does not
// include this.
#pragma once

namespace cuemu {

/// Calls so far that took effect; work inside a graph counts in `kernels` alone, at each run.
struct Counters {
  long allocations = 0;  ///< cudaMalloc, cudaMallocHost
  long synchronisations =
      0;                   ///< of a stream, an event or the device, and copies the host waits for
  long copies = 0;         ///< cudaMemcpy*, cudaMemset*
  long bytes_to_host = 0;  ///< of copies from the device
  long launches = 0;       ///< kernels and graphs given to a stream
  long kernels = 0;        ///< kernels run
};

}  // namespace cuemu

extern "C" {
/// Number of calls so far that can fail (see cuemu_set_fail).
long cuemu_fallible_calls();
/// Makes the n-th fallible call from now on fail once, as LS_EMULATOR_FAIL=n does from the start;
/// 0: none. Forgets an earlier fault, whose error would otherwise stay, and counts from 0 again.
void cuemu_set_fail(long n);
/// The error the planted failure gives; -1: what fits the call.
void cuemu_set_fail_error(int error);
/// Makes kernels come as PTX of an older architecture than the device's, which the driver compiles
/// when it loads them; 0: as machine code.
void cuemu_set_ptx(int on);
/// Makes all devices such as LS_EMULATOR_DEVICE names, from now on; whether there is such a name.
bool cuemu_set_device(const char* name);
/// Allocations, streams, events, graphs and library handles that are alive: 0 when nothing leaked.
long cuemu_live_objects();
}
cuemu::Counters cuemu_counters();
