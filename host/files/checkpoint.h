// Checkpoint folders: model.safetensors, optimizer.safetensors and trainer.json, complete or
// invisible. The manifest trainer.json carries the schema version and the size and CRC-32C of the
// other two, and ends with its own CRC-32C, so that any changed bit is found. This is the only
// place that knows the layout; what `trainer` holds is the trainer's business.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/tensor.h"

namespace lockstep {

inline constexpr std::int64_t kCheckpointSchemaVersion = 1;
inline constexpr std::uint64_t kMaxTrainerJson = 16 << 20;  // bytes

struct Checkpoint {
  std::vector<NamedTensor> model;      // "layer1.weight" [H, O], "layer1.bias" [H], ...
  std::vector<NamedTensor> optimizer;  // "<param>.exp_avg", ...; may be empty
  nlohmann::json trainer;              // an object; the keys schema_version, files and crc32c
                                       // belong to the manifest and are not part of it
};

/// Writes `dir`/<update as 8 digits> atomically and durably, then points `dir`/last at it.
///
/// `dir` is made if missing. An existing folder of this update is replaced in one step.
/// Returns the folder; on return it survives a power loss.
/// Errors: IoError (nothing of the new folder is visible), NumericError for a NaN or infinity
/// anywhere, InvalidArgument for update < 0 or a `trainer` that is no object, uses a reserved key
/// or is over kMaxTrainerJson.
std::filesystem::path save_checkpoint(const std::filesystem::path& dir, std::int64_t update,
                                      const Checkpoint& checkpoint);

/// The same under a fixed name such as "best"; `last` stays as it is.
std::filesystem::path save_checkpoint(const std::filesystem::path& dir, const std::string& name,
                                      const Checkpoint& checkpoint);

/// Reads a checkpoint folder and verifies everything in it.
/// Errors: BadInput with the file and the reason; IoError if a file cannot be read.
Checkpoint load_checkpoint(const std::filesystem::path& folder);

/// The numbered folder of `dir` with the highest update that verifies; damaged ones are skipped.
/// `skipped`, if given, receives one line for each of them.
/// Errors: BadInput if there is none, with the reason for the newest.
std::filesystem::path newest_checkpoint(const std::filesystem::path& dir,
                                        std::vector<std::string>* skipped = nullptr);

/// Whether `dir` has a numbered folder, valid or not; false if there is no such directory.
bool has_checkpoint(const std::filesystem::path& dir);

/// Update number of a folder name such as "00001000"; -1 if it is none.
std::int64_t checkpoint_update(const std::filesystem::path& folder);

/// Removes numbered folders older than the `keep` newest valid ones; named ones stay, and so do
/// damaged ones that are newer. The newest valid one is never removed. Returns how many went.
/// Errors: InvalidArgument for keep < 1; IoError.
std::int64_t prune_checkpoints(const std::filesystem::path& dir, std::int64_t keep);

/// The model tensors of a checkpoint folder, of the newest checkpoint of a run folder or a
/// checkpoints folder, or of a bare safetensors file (PyTorch's too; structure only).
/// Errors: BadInput, also for NaN or infinite values; IoError.
std::vector<NamedTensor> load_model(const std::filesystem::path& path);

}  // namespace lockstep
