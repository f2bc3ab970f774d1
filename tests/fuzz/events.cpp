// TensorBoard event files that a resumed run cuts back (host/files/tfevents.h).
#include "host/errors.h"
#include "host/files/crc32c.h"
#include "host/files/tfevents.h"
#include "tests/fuzz/fuzz.h"

namespace lockstep::fuzz {
namespace {

constexpr std::size_t kFrame = 16;        // bytes of a record besides its data
constexpr std::int64_t kLastStep = 1000;  // what resume() cuts back to
constexpr const char* kName = "events.out.tfevents.0000000001.host.1.0";

std::uint64_t fixed_at(std::string_view bytes, std::size_t at, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
  }
  return value;
}

// The data of every whole record at the start of `bytes`, whatever its checksums say.
std::vector<std::string_view> records(std::string_view bytes) {
  std::vector<std::string_view> list;
  while (bytes.size() >= kFrame) {
    const std::uint64_t size = fixed_at(bytes, 0, 8);
    if (size > bytes.size() - kFrame) break;
    list.push_back(bytes.substr(12, size));
    bytes.remove_prefix(size + kFrame);
  }
  return list;
}

std::string resumed(std::string_view input) {
  clear_scratch();
  spill(scratch() / kName, input);
  {
    // the file, what is kept of it, the buffer it is written from, and 32 KiB to list a folder
    EventWriter writer = bounded(4 * input.size() + (48 << 10),
                                 [] { return EventWriter::resume(scratch(), 2.0, kLastStep); });
    writer.close();
  }
  std::string all;  // a file that cannot go on may be left for a new one
  for (const auto& entry : std::filesystem::directory_iterator(scratch())) {
    if (entry.path().filename() == kName) all = slurp(entry.path());
  }
  return all;
}

// The events of the seeds: the version, three steps up to kLastStep, one beyond it, and step -1.
std::string written() {
  clear_scratch();
  EventWriter writer(scratch(), 1.0);
  for (const std::int64_t step :
       {std::int64_t{0}, std::int64_t{10}, kLastStep, kLastStep + 1, std::int64_t{-1}}) {
    writer.add_scalar("charts/episodic_return", step, 1.5, 1.0);
  }
  writer.close();
  return slurp(writer.path());
}

void run(std::string_view input) {
  static const std::string beyond = [] {
    const std::string whole = written();
    return tfrecord(records(whole)[4]);
  }();
  const std::string kept = resumed(input);
  check(kept.find(beyond) == std::string::npos, "a step beyond the last is left");
  std::string rebuilt;
  std::size_t from = 0;
  for (const std::string_view data : records(kept)) {
    const std::string record = tfrecord(data);
    rebuilt += record;
    const std::size_t at = input.find(record, from);
    check(at != std::string_view::npos || input.empty() || data.ends_with("brain.Event:2"),
          "a record that was not in the file");
    if (at != std::string_view::npos) from = at + record.size();
  }
  check(rebuilt == kept, "something else than whole records is left");
  check(resumed(kept) == kept, "what was cut back is cut again");
}

std::vector<std::string> seeds() {
  const std::string whole = written();
  return {whole, whole.substr(0, whole.size() - 3), ""};
}

// Keeps both checksums of every record true; a length may still be wrong.
std::string mutate(std::string input, Random& random,
                   const std::function<std::string(std::string)>& bytes) {
  std::string out;
  const std::vector<std::string_view> list = records(input);
  const std::size_t chosen = below(random, list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    const bool here = i == chosen;
    const std::string record = tfrecord(here ? bytes(std::string(list[i])) : std::string(list[i]));
    if (here && random() % 8 == 0) continue;
    out += record;
    if (here && random() % 8 == 0) out += record;
    if (here && random() % 4 == 0) {  // a length at a boundary, with its checksum
      const std::uint64_t rest = input.size();
      const std::uint64_t lengths[] = {~std::uint64_t{0}, ~std::uint64_t{15}, rest, rest - kFrame,
                                       0};
      std::string length(8, '\0');
      const std::uint64_t value = lengths[below(random, std::size(lengths))];
      for (std::size_t k = 0; k < 8; ++k) length[k] = static_cast<char>((value >> (8 * k)) & 0xff);
      const std::uint32_t crc = masked_crc32c(length);
      for (int k = 0; k < 4; ++k) length.push_back(static_cast<char>((crc >> (8 * k)) & 0xff));
      out += length + std::string(below(random, 8), '\0');
    }
  }
  return out.empty() ? tfrecord(bytes(input.substr(0, 64))) : out;
}

const Registration registration({"events", seeds, run, nullptr, mutate});

}  // namespace
}  // namespace lockstep::fuzz
