// lockstep_dump_update OUT.npz UPDATES [--option value ...]: trains for some updates and writes
// what each of them did (update_dump.h; with a critic actor_critic_dump.h) for another
// implementation to check. Options are those of `lockstep train`; the array names are
// u<number>.<field>. A tool of the tests.
#include <cstdio>
#include <string>
#include <vector>

#include "host/errors.h"
#include "host/files/npy.h"
#include "host/options/options.h"
#include "host/train/trainer.h"
#include "tests/support/actor_critic_dump.h"
#include "tests/support/update_dump.h"

namespace lockstep {
namespace {

/// Arrays of one update in an archive.
class DumpWriter {
 public:
  DumpWriter(NpzWriter& out, std::string prefix) : out_(&out), prefix_(std::move(prefix)) {}

  template <class T>
  void add(const char* name, const std::vector<std::int64_t>& shape, const std::vector<T>& values) {
    out_->add(prefix_ + name, shape, std::span<const T>(values));
  }
  template <class T>
  void add(const char* name, const std::vector<T>& values) {
    add(name, {static_cast<std::int64_t>(values.size())}, values);
  }

 private:
  NpzWriter* out_;
  std::string prefix_;
};

void write(DumpWriter out, const test::UpdateDump& dump) {
  out.add("before", dump.before);
  out.add("obs", {dump.T, dump.N, dump.O}, dump.obs);
  out.add("logit", {dump.T, dump.N}, dump.logit);
  out.add("action", {dump.T, dump.N}, dump.action);
  out.add("valid", {dump.T, dump.N}, dump.valid);
  out.add("kept", {dump.T, dump.N, dump.H}, dump.kept);
  out.add("gradient", dump.gradient);
  out.add("after", dump.after);
}

void write(DumpWriter out, const test::ActorCriticDump& dump) {
  const std::vector<std::int64_t> steps{dump.T, dump.N};
  out.add("before", dump.before.parameters);
  out.add("first_moment", dump.before.first_moment);
  out.add("second_moment", dump.before.second_moment);
  out.add("obs", {dump.T, dump.N, dump.O}, dump.obs);
  out.add("logits", {dump.T, dump.N, dump.Z}, dump.logits);
  out.add("action", steps, dump.action);
  out.add("reward", steps, dump.reward);
  out.add("terminated", steps, dump.terminated);
  out.add("truncated", steps, dump.truncated);
  out.add("value", steps, dump.value);
  out.add("next_value", steps, dump.next_value);
  out.add("advantage", steps, dump.advantage);
  out.add("minibatch", {dump.epochs, dump.T, dump.N}, dump.minibatch);
  out.add("gradient", dump.gradient);
  out.add("passes", std::vector<std::int64_t>{dump.passes});
  const UpdateFigures& told = dump.told;
  out.add("figures",
          std::vector<double>{told.policy_loss, told.value_loss, told.entropy, told.approx_kl,
                              told.clip_fraction, told.explained_variance, told.grad_norm});
  out.add("after", dump.after);
}

template <class Backend>
void write_updates(Backend& backend, const Config& config, int updates, NpzWriter& out) {
  for (int u = 0; u < updates; ++u) {
    const auto dump = test::dump_update(backend, config, static_cast<std::uint32_t>(u), config.lr);
    write(DumpWriter(out, "u" + std::to_string(u) + "."), dump);
  }
}

int run(const std::vector<std::string>& arguments) {
  require(arguments.size() >= 2 && arguments.size() % 2 == 0,
          "usage: lockstep_dump_update OUT.npz UPDATES [--option value ...]");
  ConfigSources sources;
  for (std::size_t i = 2; i < arguments.size(); i += 2) {
    sources.flags.emplace_back(arguments[i].substr(2), arguments[i + 1]);
  }
  const Config config = resolve_config(sources);
  NpzWriter out(arguments[0]);
  const int updates = std::stoi(arguments[1]);
  if (config.algorithm != Algorithm::kReinforce) {
    const auto backend = test::fresh_actor_critic(config);
    write_updates(*backend, config, updates, out);
  } else {
    require(
        config.policy == PolicyKind::kMlp && config.horizon == 0 && config.store == Store::kLogits,
        "only an mlp in episodic mode with --store logits can be dumped");
    CpuBackend backend = test::fresh_backend(config);
    write_updates(backend, config, updates, out);
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
