// host/files/safetensors.h, and a policy taken from such a file (host/cli/policy_source.h).
#include "host/files/safetensors.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "host/backend/environments.h"
#include "host/backend/policy_parameters.h"
#include "host/cli/policy_source.h"
#include "host/errors.h"
#include "host/options/options.h"
#include "tests/fuzz/fuzz.h"

namespace lockstep::fuzz {
namespace {

constexpr std::size_t kPrefix = sizeof(std::uint64_t);
constexpr std::size_t kLongestWritten = kMaxHeaderToken / 8;  // bytes of a name the writer takes

std::string file_of(std::string_view header, std::string_view data) {
  const std::uint64_t size = header.size();
  std::string bytes(kPrefix, '\0');
  std::memcpy(bytes.data(), &size, kPrefix);
  return bytes.append(header).append(data);
}

bool same(const NamedTensor& a, const NamedTensor& b) {
  return a.name == b.name && a.shape == b.shape && a.data.size() == b.data.size() &&
         (a.data.empty() ||
          std::memcmp(a.data.data(), b.data.data(), a.data.size() * sizeof(float)) == 0);
}

void check_limits(const std::vector<NamedTensor>& tensors, std::string_view file) {
  check(tensors.size() <= kMaxTensors, "too many tensors accepted");
  std::set<std::string> names;
  std::size_t floats = 0;
  for (const NamedTensor& tensor : tensors) {
    check(names.insert(tensor.name).second, "a name stands twice");
    check(tensor.shape.size() <= kMaxTensorRank, "rank beyond the limit accepted");
    unsigned __int128 count = 1;
    bool zero = false;
    for (const std::int64_t dimension : tensor.shape) {
      check(dimension >= 0, "negative dimension accepted");
      zero |= dimension == 0;
      count = std::min<unsigned __int128>(count * static_cast<std::uint64_t>(dimension), ~0ull);
    }
    check((zero ? 0 : count) == tensor.data.size(), "shape and data do not match");
    floats += tensor.data.size();
  }
  std::uint64_t header = 0;
  std::memcpy(&header, file.data(), kPrefix);
  check(kPrefix + header + floats * sizeof(float) == file.size(),
        "a byte of no tensor, or of two, accepted");
}

void check_round_trip(const std::vector<NamedTensor>& tensors) {
  const bool writable = std::all_of(tensors.begin(), tensors.end(), [](const NamedTensor& t) {
    return t.name.size() <= kLongestWritten;
  });
  if (!writable) return;
  const auto again = parse_safetensors(serialize_safetensors(tensors), "AGAIN");
  check(std::equal(tensors.begin(), tensors.end(), again.begin(), again.end(), same),
        "what was written reads back differently");
}

void play_as_policy(std::string_view input) {
  const std::filesystem::path path = scratch() / "policy.safetensors";
  spill(path, input);
  Config fallback;
  fallback.env = "cartpole";
  try {
    const cli::PolicySource source = cli::load_policy(path, fallback);
    validate(source.config);
    const auto shape = policy_shape(source.config, find_environment(source.config.env));
    check(!shape.flatten(source.tensors).empty(), "a policy without parameters");
  } catch (const BadInput&) {
    return;
  }
}

void run(std::string_view input) {
  std::vector<NamedTensor> tensors;
  try {
    // a header of many small tensors is held as text, names and entries; the file itself once
    const std::size_t most = std::min(64 * input.size() + 4096, input.size() + (1 << 20));
    tensors = bounded(most, [&] { return parse_safetensors(input, "FILE"); });
  } catch (const BadInput&) {
    return;
  }
  check_limits(tensors, input);
  check_round_trip(tensors);
  play_as_policy(input);
}

std::vector<std::string> seeds() {
  const NamedTensor scalar{"s", {}, {1.5f}}, empty{"e", {0, 3}, {}};
  const NamedTensor matrix{"layer1.weight", {2, 3}, {1, 2, 3, 4, 5, 6}};
  const NamedTensor deep{"d", std::vector<std::int64_t>(kMaxTensorRank, 1), {1}};
  const PolicyShape policy{PolicyKind::kMlp, 4, 2, 2, false},
      linear{PolicyKind::kLinear, 4, 2, 0, false};
  const auto of = [](const PolicyShape& shape) {
    return shape.tensors(std::vector<float>(static_cast<std::size_t>(shape.size()), 0.5f));
  };
  return {serialize_safetensors({}),
          serialize_safetensors({scalar, empty, matrix}),
          serialize_safetensors({matrix, scalar}, {{"format", "pt"}}),
          serialize_safetensors({deep}),
          serialize_safetensors(of(policy)),
          serialize_safetensors(of(linear))};
}

std::vector<std::string> words() {
  return {"\"dtype\":\"F32\"",
          "\"shape\":[",
          "\"data_offsets\":[",
          "__metadata__",
          "layer1.weight",
          "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
          "\"F16\"",
          "\\u0000"};
}

// One tensor of one value, of a rank up to one too many.
std::string file_of_some_rank(Random& random) {
  std::string ones;
  for (std::size_t rank = below(random, kMaxTensorRank + 2); rank > 0; --rank) {
    ones += ones.empty() ? "1" : ",1";
  }
  return file_of(R"({"d":{"dtype":"F32","shape":[)" + ones + R"(],"data_offsets":[0,4]}})",
                 std::string(4, '\0'));
}

// Keeps the length of the header true, or sets it to a value at a boundary.
std::string mutate(std::string input, Random& random,
                   const std::function<std::string(std::string)>& bytes) {
  std::uint64_t size = 0;
  if (input.size() >= kPrefix) std::memcpy(&size, input.data(), kPrefix);
  if (input.size() < kPrefix || size > input.size() - kPrefix) return file_of("{}", input);
  std::string header = input.substr(kPrefix, size), data = input.substr(kPrefix + size);
  if (random() % 64 == 0) return file_of_some_rank(random);
  switch (random() % 8) {
    case 0:
      header = bytes(header);
      break;
    case 1:
      data = bytes(data);
      break;
    case 2: {
      const std::uint64_t lengths[] = {
          header.size() + 1,     header.size() + data.size(), header.size() + data.size() + 1,
          kMaxSafetensorsHeader, kMaxSafetensorsHeader + 1,   ~std::uint64_t{0},
          ~std::uint64_t{7}};
      std::memcpy(input.data(), &lengths[below(random, std::size(lengths))], kPrefix);
      return input;
    }
    case 3:
      data.resize(below(random, 4) * 4 + below(random, 2) * data.size());
      break;
    default:
      header = mutate_json(header, random);
  }
  return file_of(header, data);
}

const Registration registration({"safetensors", seeds, run, words, mutate});

}  // namespace
}  // namespace lockstep::fuzz
