// One target under libFuzzer. Besides libFuzzer's own options:
//   fuzz_<target> --write-inputs FOLDER   writes seeds and committed inputs as files, and
//   FOLDER.dict
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "tests/fuzz/fuzz.h"

namespace lockstep::fuzz {
namespace {

const Target& target() { return targets().front(); }

std::string dictionary() {
  // libFuzzer takes an empty file for a missing one
  std::string text = std::string("# words of ") + target().name + "\n";
  for (const std::string& word :
       target().words != nullptr ? target().words() : std::vector<std::string>()) {
    text += '"';
    for (const char c : word) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned char>(c));
      text += escaped;
    }
    text += "\"\n";
  }
  return text;
}

void write_inputs(const std::string& folder) {
  std::filesystem::create_directories(folder);
  int number = 0;
  for (const auto& inputs : {target().seeds(), committed(target())}) {
    for (const std::string& input : inputs) spill(folder + "/" + std::to_string(number++), input);
  }
  spill(folder + ".dict", dictionary());
}

}  // namespace
}  // namespace lockstep::fuzz

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc == 3 && std::strcmp((*argv)[1], "--write-inputs") == 0) {
    lockstep::fuzz::write_inputs((*argv)[2]);
    std::exit(0);
  }
  lockstep::fuzz::scratch();  // made now, so that its removal is registered before libFuzzer's exit
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // exactly as long as the input, so that a read past the end is seen
  lockstep::fuzz::target().run({reinterpret_cast<const char*>(data), size});
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned int seed) {
  using lockstep::fuzz::target;
  if (target().mutate == nullptr || seed % 4 == 0) return LLVMFuzzerMutate(data, size, max_size);
  lockstep::fuzz::Random random(seed);
  const auto bytes = [max_size](std::string part) {
    const std::size_t room = std::min<std::size_t>(max_size, part.size() + 64);
    const std::size_t used = part.size();
    part.resize(std::max(room, used));
    part.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(part.data()), used, part.size()));
    return part;
  };
  std::string changed = target().mutate({reinterpret_cast<const char*>(data), size}, random, bytes);
  if (changed.empty()) changed = " ";  // libFuzzer takes no empty input from a mutator
  const std::size_t kept = std::min(changed.size(), max_size);
  std::memcpy(data, changed.data(), kept);
  return kept;
}
