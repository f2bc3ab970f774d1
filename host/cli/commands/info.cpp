// lockstep info: what this build is, what the machine gives it, and what it promises.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/backend/cuda_plugin.h"
#include "host/cli/command.h"
#include "host/cli/output.h"
#include "host/engine.h"
#include "host/fingerprint.h"

namespace lockstep::cli {
namespace {

struct Promise {
  const char* level;
  const char* text;
};

constexpr Promise kContract[] = {
    {"D0", "same build and seed: same bits in trajectories, gradients, weights"},
    {"D1", "whatever the threads, instruction set and chunking"},
    {"D2", "an environment's trajectory depends on seed, its number and its actions alone"},
    {"D3", "the same on every backend: IEEE arithmetic with own sin, cos, exp, log"},
};

std::vector<ArgumentRow> info_rows() { return {option_row("json")}; }

std::string device_name(std::size_t number) { return "cuda:" + std::to_string(number); }

std::string device_lines(const CudaProbe& probe) {
  constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
  if (probe.devices.empty()) return result_line("cuda", "none: " + probe.reason);
  std::string text;
  for (std::size_t i = 0; i < probe.devices.size(); ++i) {
    const CudaDevice& device = probe.devices[i];
    text += result_line(
        device_name(i),
        fmt::format("{}, {:.1f} GiB, compute capability {}.{}", device.name,
                    static_cast<double>(device.memory) / kGiB, device.major, device.minor));
  }
  return text;
}

nlohmann::ordered_json cuda_json(const CudaSupport& cuda) {
  nlohmann::ordered_json devices = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < cuda.probe.devices.size(); ++i) {
    const CudaDevice& device = cuda.probe.devices[i];
    devices.push_back({{"device", device_name(i)},
                       {"name", device.name},
                       {"memory", device.memory},
                       {"compute_capability", fmt::format("{}.{}", device.major, device.minor)}});
  }
  return {{"built", cuda.built}, {"devices", devices}, {"reason", cuda.probe.reason}};
}

int run_info(const Arguments& arguments) {
  const BuildInfo build = build_info();
  const CudaSupport& cuda = cuda_support();
  const std::uint64_t number = Engine::fingerprint();
  const std::string fingerprint = fmt::format("{:016x}", number);
  const bool matches = number == kFingerprint;
  if (arguments.config().json) {
    nlohmann::ordered_json contract;
    for (const Promise& promise : kContract) contract[promise.level] = promise.text;
    print_json("info", {{"version", build.version},
                        {"commit", build.commit},
                        {"compiler", build.compiler},
                        {"build_type", build.build_type},
                        {"isa", build.isa},
                        {"threads", build.threads},
                        {"backends", build.backends},
                        {"cuda", cuda_json(cuda)},
                        {"determinism", contract},
                        {"fingerprint", fingerprint},
                        {"fingerprint_matches", matches}});
    return 0;
  }
  std::string text = "lockstep " + build.version + "\n";
  text += result_line("commit", build.commit);
  text += result_line("build", build.build_type + ", " + build.compiler);
  text += result_line("instructions", build.isa);
  text += result_line("threads", std::to_string(build.threads));
  text += result_line("backends", fmt::format("{}", fmt::join(build.backends, ", ")));
  text += device_lines(cuda.probe);
  text += result_line("fingerprint", fingerprint + (matches ? " (matches: a correct build)"
                                                            : fmt::format(" (differs from {:016x}: "
                                                                          "this build computes "
                                                                          "something else)",
                                                                          kFingerprint)));
  text += "determinism\n";
  for (const Promise& promise : kContract) text += result_line(promise.level, promise.text);
  print(text);
  return 0;
}

}  // namespace

constinit const Command kInfoCommand = {
    "info", "version, build, instruction set, devices, fingerprint", info_rows, run_info, nullptr};

}  // namespace lockstep::cli
