// A plug-in of another build, for the test that it is refused. Test code only.
#include "host/backend/cuda_plugin.h"

extern "C" const lockstep::CudaPlugin* lockstep_cuda_plugin() {
  static const lockstep::CudaPlugin plugin = {"0.0.0 of another tree", nullptr, nullptr, nullptr};
  return &plugin;
}
