// See policy_source.h.
#include "host/cli/policy_source.h"

#include "host/backend/environments.h"
#include "host/backend/policy_parameters.h"
#include "host/errors.h"
#include "host/files/checkpoint.h"
#include "host/options/options.h"

namespace lockstep::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigFile = "config.toml";
constexpr const char* kManifestFile = "trainer.json";
constexpr const char* kConfigKey = "config";  // TOML text in the trainer's part of the manifest

/// Settings of the run that `path` is or lies in; `fallback` for a bare file.
Config run_settings(const fs::path& path, const Config& fallback) {
  const fs::path folder = fs::is_directory(path) ? path : fs::absolute(path).parent_path();
  if (fs::is_directory(path) && fs::exists(path / kConfigFile)) {
    return config_from_toml(path / kConfigFile);
  }
  if (fs::exists(folder / kManifestFile)) {
    const nlohmann::json trainer = load_checkpoint(folder).trainer;
    const auto settings = trainer.find(kConfigKey);
    if (settings == trainer.end() || !settings->is_string()) {
      throw BadInput((folder / kManifestFile).string() + ": no settings under 'config'");
    }
    return config_from_toml_text(settings->get<std::string>(),
                                 (folder / kManifestFile).string() + ": config");
  }
  if (!fs::is_directory(path)) return fallback;
  const fs::path run = fs::canonical(path).parent_path();  // `path` as the checkpoints of a run
  return fs::exists(run / kConfigFile) ? config_from_toml(run / kConfigFile) : fallback;
}

void set_policy_shape(Config& config, const std::vector<NamedTensor>& tensors,
                      const fs::path& path) {
  const NetworkSize network = network_size(tensors, path.string());
  config.policy = network.kind;
  config.critic = network.critic == kNoCritic ? Critic::kNone
                  : network.critic == 0       ? Critic::kShared
                                              : Critic::kSeparate;
  if (network.critic > 0) {
    set_option(config, *find_option("critic-hidden"), std::to_string(network.critic),
               Origin{path.string() + ": units of critic.layer1.weight", true});
  }
  if (network.kind == PolicyKind::kLinear) return;
  set_option(config, *find_option("hidden"), std::to_string(network.hidden),
             Origin{path.string() + ": units of layer1.weight", true});
}

}  // namespace

PolicySource load_policy(const fs::path& path, const Config& fallback) {
  PolicySource source;
  source.tensors = load_model(path);
  source.config = run_settings(path, fallback);
  set_policy_shape(source.config, source.tensors, path);
  const PolicyShape shape = policy_shape(source.config, find_environment(source.config.env));
  const std::vector<float> flat = shape.flatten(source.tensors, "", path.string());
  // whoever plays has no use for a critic
  source.tensors = shape.actor().tensors(std::span(flat).first(shape.actor().size()));
  for (const Option& option : option_table()) {
    if (option.group != "critic" && option.group != "passes") continue;
    set_option(source.config, option, option_text(Config{}, option), Origin{});
  }
  source.config.algorithm = Algorithm::kReinforce;
  source.config.normalize = Config{}.normalize;
  // the weights are given, and dropout belongs to training
  source.config.init = Init::kXavierUniform;
  source.config.init_from.clear();
  source.config.dropout = 0;
  return source;
}

}  // namespace lockstep::cli
