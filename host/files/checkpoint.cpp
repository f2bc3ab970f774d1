// See checkpoint.h. The manifest is the trainer's JSON object plus two keys, `schema_version` and
// `files`, and ends with exactly `"crc32c": "<8 hex digits>"\n}\n`; the checksum covers every byte
// before its digits. The tail is compared literally, so no byte of the file is free.
#include "host/files/checkpoint.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <exception>
#include <iterator>
#include <limits>
#include <string_view>
#include <utility>

#include "host/errors.h"
#include "host/files/crc32c.h"
#include "host/files/durable_file.h"
#include "host/files/json_text.h"
#include "host/files/safetensors.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using Manifest = nlohmann::json;

constexpr const char* kModelFile = "model.safetensors";
constexpr const char* kOptimizerFile = "optimizer.safetensors";
constexpr const char* kManifestFile = "trainer.json";
constexpr std::array kReservedKeys = {"schema_version", "files", "crc32c"};
constexpr std::string_view kCrcKey = ",\n  \"crc32c\": \"";
constexpr std::string_view kTail = "\"\n}\n";
constexpr std::size_t kCrcDigits = 8;

std::string hex(std::uint32_t value) {
  std::array<char, kCrcDigits + 1> text{};
  std::snprintf(text.data(), text.size(), "%08x", static_cast<unsigned>(value));
  return text.data();
}

// nlohmann writes null for these without a word.
void require_finite_json(const Manifest& value, const std::string& name) {
  if (value.is_structured()) {
    for (const auto& [key, item] : value.items()) require_finite_json(item, name + "." + key);
  } else if (value.is_number_float() && !std::isfinite(value.get<double>())) {
    throw NumericError("checkpoint not written: " + name + " is NaN or infinite");
  }
}

void require_finite_tensors(const std::vector<NamedTensor>& tensors) {
  const std::string found = find_non_finite(tensors);
  if (!found.empty())
    throw NumericError("checkpoint not written: " + found + " is NaN or infinite");
}

Manifest seal_of(std::string_view content) {
  return {{"size", content.size()}, {"crc32c", hex(crc32c(content))}};
}

std::string make_manifest(const Manifest& trainer, std::string_view model,
                          std::string_view optimizer) {
  require(trainer.is_object(), "the trainer state of a checkpoint must be a JSON object");
  for (const char* key : kReservedKeys) {
    require(!trainer.contains(key), std::string("trainer state uses the reserved key ") + key);
  }
  require_finite_json(trainer, "trainer");
  Manifest manifest = trainer;
  manifest["schema_version"] = kCheckpointSchemaVersion;
  manifest["files"] = {{kModelFile, seal_of(model)}, {kOptimizerFile, seal_of(optimizer)}};
  std::string text = manifest.dump(2, ' ', false, Manifest::error_handler_t::replace);
  text.resize(text.size() - 2);  // without the closing "\n}"
  text += kCrcKey;
  text += hex(crc32c(text));
  text += kTail;
  require(text.size() <= kMaxTrainerJson, "trainer state over 16 MiB");
  return text;
}

[[noreturn]] void reject(const fs::path& path, const std::string& reason) {
  throw BadInput(path.string() + " is damaged: " + reason);
}

// The JSON object, its checksum verified and removed.
Manifest parse_manifest(const fs::path& path) {
  const std::string text = read_file(path, kMaxTrainerJson);
  if (text.size() < kCrcKey.size() + kCrcDigits + kTail.size()) reject(path, "too short");
  const std::size_t digits = text.size() - kTail.size() - kCrcDigits;
  const std::string_view covered = std::string_view(text).substr(0, digits);
  if (!text.ends_with(kTail) || !covered.ends_with(kCrcKey)) {
    reject(path, "it does not end with its CRC-32C");
  }
  if (text.compare(digits, kCrcDigits, hex(crc32c(covered))) != 0) {
    reject(path, "its CRC-32C does not match");
  }
  try {
    return parse_json(text);
  } catch (const BadInput& error) {
    reject(path, error.what());
  }
}

void check_version(const Manifest& manifest, const fs::path& path) {
  const auto version = manifest.find("schema_version");
  if (version == manifest.end() || !version->is_number_integer()) {
    reject(path, "schema_version is missing");
  }
  // beyond int64 it is unsigned, and newer than anything we know
  const bool huge = version->is_number_unsigned() &&
                    version->get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max();
  if (huge || version->get<std::int64_t>() > kCheckpointSchemaVersion) {
    throw BadInput(path.string() + " has schema_version " + version->dump() +
                   "; this build reads up to " + std::to_string(kCheckpointSchemaVersion) +
                   ": use a newer lockstep");
  }
  if (version->get<std::int64_t>() < 1) reject(path, "schema_version must be at least 1");
}

FileSeal seal_from(const Manifest& manifest, const char* name, const fs::path& path) {
  const Manifest::json_pointer pointer = Manifest::json_pointer("/files") / name;
  const Manifest seal = manifest.contains(pointer) ? manifest[pointer] : Manifest();
  const auto size = seal.is_object() ? seal.find("size") : seal.end();
  const auto crc = seal.is_object() ? seal.find("crc32c") : seal.end();
  if (size == seal.end() || !size->is_number_unsigned() || crc == seal.end() || !crc->is_string()) {
    reject(path, std::string("no size and checksum of ") + name);
  }
  const std::string digits = crc->get<std::string>();
  FileSeal result{.size = size->get<std::uint64_t>()};
  std::from_chars(digits.data(), digits.data() + digits.size(), result.crc32c, 16);
  if (digits != hex(result.crc32c)) reject(path, std::string("bad checksum of ") + name);
  return result;
}

std::vector<NamedTensor> load_sealed(const fs::path& path, const FileSeal& seal) {
  std::vector<NamedTensor> tensors = read_safetensors(path, &seal);
  check_finite(tensors, path.string());
  return tensors;
}

// A folder that was being replaced without atomic exchange when the process was killed.
fs::path replaced_name(const fs::path& folder) {
  fs::path replaced = folder;
  return replaced += kReplacedSuffix;
}

// The numbered folders of `dir`, highest update first, under their plain names.
std::vector<fs::path> numbered_folders(const fs::path& dir) {
  std::vector<fs::path> folders;
  std::error_code error;
  fs::directory_iterator it(dir, error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    fs::path path = it->path();
    if (path.extension() == kReplacedSuffix) path.replace_extension();
    if (checkpoint_update(path) >= 0) folders.push_back(path);
  }
  if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) {
    throw BadInput("no folder " + dir.string());
  }
  if (error) throw IoError("cannot list " + dir.string() + ": " + error.message());
  std::sort(folders.begin(), folders.end(), [](const fs::path& a, const fs::path& b) {
    return std::pair(checkpoint_update(a), a) > std::pair(checkpoint_update(b), b);
  });
  folders.erase(std::unique(folders.begin(), folders.end()), folders.end());
  return folders;
}

// Empty if the checkpoint verifies, else why not.
std::string verify(const fs::path& folder) {
  try {
    load_checkpoint(folder);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

fs::path write_checkpoint(const fs::path& folder, const Checkpoint& checkpoint) {
  require_finite_tensors(checkpoint.model);
  require_finite_tensors(checkpoint.optimizer);
  const std::string model = serialize_safetensors(checkpoint.model, {{"format", "pt"}});
  const std::string optimizer = serialize_safetensors(checkpoint.optimizer, {{"format", "pt"}});
  const std::string manifest = make_manifest(checkpoint.trainer, model, optimizer);
  DurableFolder writer(folder);
  writer.add_file(kModelFile, model);
  writer.add_file(kOptimizerFile, optimizer);
  writer.add_file(kManifestFile, manifest);
  writer.commit();
  return folder;
}

// Whether a numbered checkpoint holds all that is in `folder`. The manifest seals the other files.
bool is_repeated(const fs::path& folder, const fs::path& dir) {
  try {
    if (std::distance(fs::directory_iterator(folder), fs::directory_iterator()) != 3) return false;
    const std::string manifest = read_file(folder / kManifestFile, kMaxTrainerJson);
    for (const fs::path& other : numbered_folders(dir)) {
      if (verify(other).empty() && read_file(other / kManifestFile, kMaxTrainerJson) == manifest) {
        return true;
      }
    }
  } catch (const std::exception&) {
    // what cannot be read is kept
  }
  return false;
}

// A copy of a run that followed links (cp -rL, scp -r, an uploaded archive) has a folder where the
// link was. It goes if it repeats a numbered checkpoint, and else stays under a name of its own.
void make_way_for_last(const fs::path& dir) {
  std::error_code error;
  const fs::path last = dir / "last";
  if (!fs::is_directory(fs::symlink_status(last, error))) return;
  if (is_repeated(last, dir)) return remove_folder(last);
  fs::path kept = dir / "last-copy";
  for (int n = 2; fs::exists(fs::symlink_status(kept, error)); ++n) {
    kept = dir / ("last-copy-" + std::to_string(n));
  }
  fs::rename(last, kept, error);
  if (error) throw IoError("cannot rename " + last.string() + ": " + error.message());
}

}  // namespace

fs::path save_checkpoint(const fs::path& dir, std::int64_t update, const Checkpoint& checkpoint) {
  require(update >= 0, "update " + std::to_string(update) + " of a checkpoint must be >= 0");
  std::string name = std::to_string(update);
  if (name.size() < 8) name.insert(0, 8 - name.size(), '0');
  const fs::path folder = write_checkpoint(dir / name, checkpoint);
  make_way_for_last(dir);
  replace_symlink(dir / "last", name);
  return folder;
}

fs::path save_checkpoint(const fs::path& dir, const std::string& name,
                         const Checkpoint& checkpoint) {
  require(!name.empty() && name.find_first_of("/.") == std::string::npos && name != "last" &&
              checkpoint_update(name) < 0,
          "checkpoint name '" + name + "' must be a word that is no number");
  return write_checkpoint(dir / name, checkpoint);
}

Checkpoint load_checkpoint(const fs::path& folder) {
  const fs::path replaced = replaced_name(folder);
  if (!is_folder(folder) && is_folder(replaced)) return load_checkpoint(replaced);
  const fs::path path = folder / kManifestFile;
  Checkpoint checkpoint;
  checkpoint.trainer = parse_manifest(path);
  if (!checkpoint.trainer.is_object()) reject(path, "not a JSON object");
  check_version(checkpoint.trainer, path);
  const FileSeal model = seal_from(checkpoint.trainer, kModelFile, path);
  const FileSeal optimizer = seal_from(checkpoint.trainer, kOptimizerFile, path);
  checkpoint.model = load_sealed(folder / kModelFile, model);
  checkpoint.optimizer = load_sealed(folder / kOptimizerFile, optimizer);
  for (const char* key : kReservedKeys) checkpoint.trainer.erase(key);
  return checkpoint;
}

fs::path newest_checkpoint(const fs::path& dir, std::vector<std::string>* skipped) {
  std::string first_reason;
  for (const fs::path& folder : numbered_folders(dir)) {
    const std::string reason = verify(folder);
    if (reason.empty()) return folder;
    if (first_reason.empty()) first_reason = "; newest: " + reason;
    if (skipped != nullptr) skipped->push_back(reason);
  }
  throw BadInput("no valid checkpoint in " + dir.string() + first_reason);
}

bool has_checkpoint(const std::filesystem::path& dir) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(dir, error)) {
    if (checkpoint_update(entry.path()) >= 0) return true;
  }
  return false;
}

std::int64_t checkpoint_update(const fs::path& folder) {
  const std::string name = folder.filename().string();
  std::int64_t update = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), update);
  const bool whole = error == std::errc() && end == name.data() + name.size();
  return whole && name.size() >= 8 && name.front() != '-' ? update : -1;
}

std::int64_t prune_checkpoints(const fs::path& dir, std::int64_t keep) {
  require(keep >= 1, "keep " + std::to_string(keep) + " must be at least 1");
  std::int64_t valid = 0, removed = 0;
  for (const fs::path& folder : numbered_folders(dir)) {
    if (valid < keep) {
      if (verify(folder).empty()) ++valid;
      continue;
    }
    remove_folder(folder);
    remove_folder(replaced_name(folder));
    ++removed;
  }
  return removed;
}

std::vector<NamedTensor> load_model(const fs::path& path) {
  std::error_code ignored;
  if (!is_folder(path)) {
    if (is_folder(replaced_name(path))) return load_checkpoint(path).model;
    std::vector<NamedTensor> tensors = read_safetensors(path);
    check_finite(tensors, path.string());
    return tensors;
  }
  if (fs::exists(path / kManifestFile, ignored)) return load_checkpoint(path).model;
  const fs::path inner = path / "checkpoints";
  return load_checkpoint(newest_checkpoint(is_folder(inner) ? inner : path)).model;
}

}  // namespace lockstep
