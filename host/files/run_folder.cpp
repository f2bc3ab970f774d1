// See run_folder.h. Only checkpoints are written durably: they cannot be had again. The files here
// can be lost in a power failure at no more than the cost of a picture or a line of log, so they
// are written without fsync, which takes 0.2 to 10 ms each, a run of the fast recipe 2 ms. What
// replaces an existing file is renamed into place, so readers never see half of it.
#include "host/files/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "host/errors.h"
#include "host/files/durable_file.h"
#include "host/files/json_text.h"
#include "host/files/metrics.h"
#include "host/plot/plot.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;  // run.json is also read by people

constexpr const char* kSchema = "lockstep.run/1";
constexpr const char* kRunJson = "run.json";
constexpr std::uint64_t kMaxRunJson = 16 << 20;  // bytes
constexpr std::int64_t kMaxNumber = 1'000'000'000;

void replace_file(const fs::path& path, std::string_view content) {
  const fs::path temporary = path.string() + ".tmp";
  try {
    FileHandle file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    file.write(content);
    file.close();
    if (::rename(temporary.c_str(), path.c_str()) != 0) throw_io("rename to", path, errno);
  } catch (const IoError&) {
    ::unlink(temporary.c_str());
    throw;
  }
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

// run.json as an object of our schema; null if it is none.
Json read_run_json(const fs::path& folder, int levels = kMaxJsonDepth) {
  Json record;
  try {
    record = parse_json<Json>(read_file(folder / kRunJson, kMaxRunJson), levels);
  } catch (const BadInput&) {
    return {};
  }
  const bool ours = record.is_object() && record.value("schema", Json()) == kSchema;
  return ours ? record : Json();
}

std::string run_json_text(const Json& record) {
  // a command line may hold any bytes, JSON only UTF-8
  return record.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void write_run_json(const fs::path& folder, const Json& record) {
  replace_file(folder / kRunJson, run_json_text(record));
}

// Whether `size` bytes certainly find room in the blocks that `path` has already.
bool has_room_for(const fs::path& path, std::size_t size) {
  constexpr std::size_t kBlock = 512;  // the unit of st_blocks
  struct stat status {};
  rlimit limit{};
  return ::stat(path.c_str(), &status) == 0 && ::getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
         size <= limit.rlim_cur && size <= static_cast<std::size_t>(status.st_blocks) * kBlock;
}

// Replaces run.json also where no new file can be made, on a full disk for one. A process that is
// killed within the last resort leaves half a record; without it the record would be wrong for
// ever.
void write_last_record(const fs::path& folder, const Json& record) {
  try {
    write_run_json(folder, record);
  } catch (const IoError&) {
    const fs::path path = folder / kRunJson;
    const std::string text = run_json_text(record);
    if (!has_room_for(path, text.size())) throw;
    FileHandle file(path, O_WRONLY);
    file.write(text);
    file.truncate(text.size());
    file.close();
  }
}

// Opens the folder and locks it for this process; two runs in one folder would destroy each other.
// File systems without locks are taken as unlocked.
int lock_folder(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) throw_io("open", path, errno);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(fd);
    throw InvalidArgument(fmt::format("run folder {} is in use by another process", path.string()));
  }
  return fd;
}

void make_parents(const fs::path& path) {
  const fs::path parent = path.parent_path();
  std::error_code error;
  if (!parent.empty()) fs::create_directories(parent, error);
  if (error) throw IoError(fmt::format("cannot create {}: {}", parent.string(), error.message()));
}

// True if this process made the folder, false if something of that name exists.
bool make_folder(const fs::path& path) {
  if (::mkdir(path.c_str(), 0777) == 0) return true;
  if (errno != EEXIST) throw_io("create", path, errno);
  return false;
}

std::int64_t next_number(const fs::path& parent, const std::string& prefix) {
  std::int64_t highest = 0;
  std::error_code error;
  fs::directory_iterator it(parent, error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(prefix)) continue;
    std::int64_t number = 0;
    const char* end_of_name = name.data() + name.size();
    const auto [stop, bad] = std::from_chars(name.data() + prefix.size(), end_of_name, number);
    if (bad == std::errc() && stop == end_of_name && number < kMaxNumber) {
      highest = std::max(highest, number);
    }
  }
  if (error) throw IoError(fmt::format("cannot list {}: {}", parent.string(), error.message()));
  return highest + 1;
}

fs::path make_numbered_folder(const std::string& env) {
  const fs::path parent = "runs";
  const std::string prefix = env + "-";
  make_parents(parent / prefix);
  for (std::int64_t number = next_number(parent, prefix);; ++number) {
    const fs::path path = parent / (prefix + std::to_string(number));
    if (make_folder(path)) return path;
  }
}

bool is_checkpoint_name(const std::string& name) {
  const bool digits = name.size() >= 8 && name.find_first_not_of("0123456789") == std::string::npos;
  return digits || name == "last" || name == "best" || name.starts_with("tmp.") ||
         name.ends_with(kReplacedSuffix);
}

void remove_entry(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);  // a symbolic link goes, what it points at stays
  if (error) throw IoError(fmt::format("cannot remove {}: {}", path.string(), error.message()));
}

std::vector<fs::path> entries(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> out;
  fs::directory_iterator it(folder, error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    out.push_back(it->path());
  }
  if (error) throw IoError(fmt::format("cannot list {}: {}", folder.string(), error.message()));
  return out;
}

// Empty, or left by a process that was killed while it made the folder.
bool is_unused(const fs::path& folder) {
  const std::vector<fs::path> found = entries(folder);
  return std::all_of(found.begin(), found.end(),
                     [](const fs::path& entry) { return entry.filename() == "run.json.tmp"; });
}

// `path` is not empty.
void require_replaceable(const fs::path& path, bool force) {
  require(is_run_folder(path),
          fmt::format("--out: {} is neither empty nor a run folder; it stays as it is, also with "
                      "--force",
                      path.string()));
  require(force,
          fmt::format("--out: {} already holds a run; choose another folder or replace it with "
                      "--force",
                      path.string()));
}

// Removes what a run has written. run.json stays until it is replaced, so that a crash on the way
// leaves a folder that is still known as a run's.
void clear_run(const fs::path& folder) {
  for (const fs::path& entry : entries(folder)) {
    const std::string name = entry.filename().string();
    const bool is_log = name == MetricsLog::kFileName || name.starts_with("events.out.tfevents.");
    if (is_log || name == "config.toml" || name == "curve.svg" || name == "run.json.tmp") {
      remove_entry(entry);
    }
    if (name != "checkpoints") continue;
    std::error_code error;
    if (is_folder(entry) && !fs::is_symlink(entry, error)) {
      for (const fs::path& checkpoint : entries(entry)) {
        if (is_checkpoint_name(checkpoint.filename().string())) remove_entry(checkpoint);
      }
    }
    fs::remove(entry, error);  // fails if something of somebody else's is in it
  }
}

Json record_json(const RunRecord& record) {
  return {{"schema", kSchema},
          {"status", "running"},
          {"command_line", record.command_line},
          {"version", record.build.version},
          {"commit", record.build.commit},
          {"compiler", record.build.compiler},
          {"build_type", record.build.build_type},
          {"isa", record.build.isa},
          {"device", record.device},
          {"threads", record.threads},
          {"fingerprint", fmt::format("{:016x}", record.fingerprint)},
          {"host", host_name()},
          {"pid", ::getpid()},
          {"start_time", utc_now()}};
}

Json result_json(const TrainResult& result) {
  Json out = {{"updates", result.updates},
              {"episodes", result.episodes},
              {"steps", result.steps},
              {"seconds", result.seconds},
              {"process_seconds", result.process_seconds},
              {"cut_steps", result.cut_steps},
              {"gradient_updates", result.gradient_updates},
              {"mean_score", result.mean_score},
              {"reached", result.reached}};
  if (result.reached) {
    out["reached_update"] = result.reached_update;
    out["reached_episodes"] = result.reached_episodes;
    out["reached_steps"] = result.reached_steps;
    out["reached_seconds"] = result.reached_seconds;
  }
  return out;
}

}  // namespace

RunFolder RunFolder::create(const Config& config) {
  fs::path path = config.out;
  bool made = true;
  if (path.empty()) {
    path = make_numbered_folder(config.env);
  } else {
    if (!path.has_filename()) path = path.parent_path();  // "out/" means "out"
    make_parents(path);
    made = make_folder(resolve_links(path));
  }
  if (!is_folder(path)) {
    throw InvalidArgument(fmt::format("--out: {} exists and is no folder", path.string()));
  }
  RunFolder folder(path, lock_folder(path));
  if (!is_unused(path)) {
    require_replaceable(path, config.force);
    clear_run(path);
  }
  try {
    write_run_json(path, {{"schema", kSchema}, {"status", "starting"}});
  } catch (const IoError&) {
    if (made) ::rmdir(path.c_str());  // a full disk should not fill with empty runs
    throw;
  }
  return folder;
}

RunFolder RunFolder::open(const fs::path& path) {
  if (!is_run_folder(path)) {
    throw BadInput(fmt::format("{} is no run folder: it has no valid {}", path.string(), kRunJson));
  }
  return {path, lock_folder(path)};
}

RunFolder::~RunFolder() {
  if (lock_ >= 0) ::close(lock_);
}

RunFolder::RunFolder(RunFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

RunFolder& RunFolder::operator=(RunFolder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_, other.lock_);
  return *this;
}

void RunFolder::start(const RunRecord& record, std::string_view config_toml) {
  replace_file(config_file(), config_toml);
  Json now = record_json(record);
  Json before = read_run_json(path_, kMaxJsonDepth - 2);  // two more once it stands in the list
  if (before.is_object() && before.contains("start_time")) {
    Json earlier = Json::array();
    if (before.contains("earlier") && before["earlier"].is_array()) earlier = before["earlier"];
    before.erase("earlier");
    before.erase("schema");
    earlier.push_back(std::move(before));
    now["earlier"] = std::move(earlier);
  }
  write_run_json(path_, now);
}

std::string RunFolder::finish(const Config& config, const TrainResult& result,
                              std::string_view status, std::string_view error) {
  Json record = read_run_json(path_);
  if (!record.is_object()) record = {{"schema", kSchema}};
  record["status"] = status;
  if (!error.empty()) record["error"] = error;
  record["end_time"] = utc_now();
  record["result"] = result_json(result);
  write_last_record(path_, record);
  try {
    replace_file(curve_file(), curve_svg(config, result.curve));
    return {};
  } catch (const IoError& lost) {
    return lost.what();
  }
}

bool is_run_folder(const fs::path& path) { return read_run_json(path).is_object(); }

std::string curve_svg(const Config& config, const std::vector<UpdateMetrics>& curve) {
  Series update{"mean score of the update", {}, {}, LineStyle::kThin};
  Series recent{fmt::format("mean of the last {} episodes", config.over), {}, {}};
  Series evaluation{"evaluation", {}, {}};
  const auto add = [](Series& series, const UpdateMetrics& m, double score) {
    series.x.push_back(static_cast<double>(m.steps));
    series.y.push_back(score);
  };
  for (const UpdateMetrics& m : curve) {
    add(update, m, m.batch_score);
    add(recent, m, m.mean_score);
    if (m.has_eval) add(evaluation, m, m.eval_score);
  }
  std::vector<Series> series = {std::move(update), std::move(recent)};
  if (!evaluation.x.empty()) series.push_back(std::move(evaluation));
  PlotOptions options;
  options.title = fmt::format("{}, recipe {}, seed {}", config.env, config.recipe, config.seed);
  options.x_label = "environment steps";
  options.y_label = "score";
  options.threshold = config.until_score;
  return svg_plot(series, options);
}

}  // namespace lockstep
