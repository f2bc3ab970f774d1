// lockstep_dump_update OUT.npz UPDATES [--option value ...]: trains for some updates and writes
// what each of them did (update_dump.h) for another implementation to check. Options are those of
// `lockstep train`; the array names are u<number>.<field>. A tool of the tests.
#include <cstdio>
#include <string>
#include <vector>

#include "host/errors.h"
#include "host/files/npy.h"
#include "host/options/options.h"
#include "host/train/trainer.h"
#include "tests/support/update_dump.h"

namespace lockstep {
namespace {

void write(NpzWriter& out, const std::string& prefix, const test::UpdateDump& dump) {
  const auto flat = [&](const std::vector<float>& values) {
    return std::vector<std::int64_t>{static_cast<std::int64_t>(values.size())};
  };
  out.add(prefix + "before", flat(dump.before), std::span<const float>(dump.before));
  out.add(prefix + "obs", {dump.T, dump.N, dump.O}, std::span<const float>(dump.obs));
  out.add(prefix + "logit", {dump.T, dump.N}, std::span<const float>(dump.logit));
  out.add(prefix + "action", {dump.T, dump.N}, std::span<const std::uint8_t>(dump.action));
  out.add(prefix + "valid", {dump.T, dump.N}, std::span<const std::uint8_t>(dump.valid));
  out.add(prefix + "kept", {dump.T, dump.N, dump.H}, std::span<const std::uint8_t>(dump.kept));
  out.add(prefix + "gradient", flat(dump.gradient), std::span<const float>(dump.gradient));
  out.add(prefix + "after", flat(dump.after), std::span<const float>(dump.after));
}

int run(const std::vector<std::string>& arguments) {
  require(arguments.size() >= 2 && arguments.size() % 2 == 0,
          "usage: lockstep_dump_update OUT.npz UPDATES [--option value ...]");
  ConfigSources sources;
  for (std::size_t i = 2; i < arguments.size(); i += 2) {
    sources.flags.emplace_back(arguments[i].substr(2), arguments[i + 1]);
  }
  const Config config = resolve_config(sources);
  require(
      config.policy == PolicyKind::kMlp && config.horizon == 0 && config.store == Store::kLogits,
      "only an mlp in episodic mode with --store logits can be dumped");
  CpuBackend backend = test::fresh_backend(config);
  NpzWriter out(arguments[0]);
  const int updates = std::stoi(arguments[1]);
  for (int u = 0; u < updates; ++u) {
    const auto dump = test::dump_update(backend, config, static_cast<std::uint32_t>(u), config.lr);
    write(out, "u" + std::to_string(u) + ".", dump);
  }
  out.close();
  return 0;
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  try {
    return lockstep::run({argv + 1, argv + argc});
  } catch (const lockstep::Error& error) {
    std::fprintf(stderr, "lockstep_dump_update: %s\n", error.what());
    return static_cast<int>(error.exit_code());
  }
}
