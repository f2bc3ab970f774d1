// See device.h.
#include "host/cli/device.h"

#include "host/backend/cuda_plugin.h"
#include "host/cli/output.h"
#include "host/engine.h"

namespace lockstep::cli {

std::string device_text(const Config& config) {
  const int device = choose_device(config).cuda;
  if (device < 0) return "cpu " + this_build().isa;
  const CudaDevice& found = cuda_support().probe.devices[static_cast<std::size_t>(device)];
  return "cuda:" + std::to_string(device) + " " + found.name;
}

void note_device(const Config& config, bool quiet) {
  static bool noted = false;
  if (quiet || noted) return;
  noted = true;
  const std::string note = choose_device(config).note;
  if (!note.empty()) print_note(note);
}

}  // namespace lockstep::cli
