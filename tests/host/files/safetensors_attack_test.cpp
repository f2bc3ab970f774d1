// Tests for host/files/safetensors.h: hostile files, by a table of attacks and by mutation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <random>
#include <set>

#include "host/errors.h"
#include "host/files/safetensors.h"

// Counts live heap bytes of this program, for the reader's promise about allocations.
namespace {
std::atomic<std::size_t> live_bytes{0}, peak_bytes{0};
}  // namespace

void* operator new(std::size_t size) {
  void* const memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  const std::size_t now = live_bytes += ::malloc_usable_size(memory);
  if (now > peak_bytes) peak_bytes = now;
  return memory;
}
// the library's temporary buffers use this one; sanitizers do not forward it to the one above
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return operator new(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* memory) noexcept {
  live_bytes -= ::malloc_usable_size(memory);
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

namespace lockstep {
namespace safetensors_attack_test {

using ::testing::HasSubstr;

// A file of this header and so many zero bytes of data.
std::string file_of(std::string_view header, std::size_t data_size) {
  const std::uint64_t size = header.size();
  std::string bytes(sizeof size, '\0');
  std::memcpy(bytes.data(), &size, sizeof size);
  return bytes.append(header).append(data_size, '\0');
}

// Reason of the rejection; empty if the file is accepted. Peak allocation goes to `allocated`.
std::string rejection(std::string_view bytes, std::size_t* allocated = nullptr) {
  const std::size_t before = live_bytes;
  peak_bytes = before;
  std::string reason;
  try {
    parse_safetensors(bytes, "FILE");
  } catch (const BadInput& error) {
    reason = error.what();
  }
  if (allocated != nullptr) *allocated = peak_bytes - before;
  return reason;
}

struct Attack {
  const char* name;
  std::string bytes;
  const char* reason;  // must be part of the message
};

std::string entry(std::string_view name, std::string_view shape, std::string_view offsets) {
  return "\"" + std::string(name) + "\":{\"dtype\":\"F32\",\"shape\":" + std::string(shape) +
         ",\"data_offsets\":" + std::string(offsets) + "}";
}

std::string repeated(std::string_view text, std::size_t size) {
  std::string result;
  while (result.size() < size) result += text;
  return result;
}

std::string with_header_size(std::uint64_t size) {
  std::string bytes = file_of("{}", 8);
  std::memcpy(bytes.data(), &size, sizeof size);
  return bytes;
}

std::string many_tensors(std::size_t count) {
  std::string header = "{";
  for (std::size_t i = 0; i < count; ++i) {
    header += (i > 0 ? "," : "") + entry("t" + std::to_string(i), "[0]", "[0,0]");
  }
  return file_of(header + "}", 0);
}

std::vector<Attack> framing_attacks() {
  return {
      {"empty file", "", "shorter than 8 bytes"},
      {"seven bytes", "1234567", "shorter than 8 bytes"},
      {"header length 0", std::string(8, '\0'), "does not begin with '{'"},
      {"header past the end", with_header_size(11), "reaches past the end"},
      {"header length just over the cap", with_header_size((1u << 20) + 1), "at most 1048576"},
      {"header length 2^63", with_header_size(std::uint64_t{1} << 63), "at most 1048576"},
      {"header length 2^64-1", with_header_size(~std::uint64_t{0}), "at most 1048576"},
      {"header length 2^64-8", with_header_size(~std::uint64_t{7}), "at most 1048576"},
      {"byte order mark", file_of("\xef\xbb\xbf{}", 0), "does not begin with '{'"},
      {"leading space", file_of(" {}", 0), "does not begin with '{'"},
      {"a list", file_of("[]", 0), "does not begin with '{'"},
      {"text after NUL", file_of(std::string_view("{}\0hidden", 9), 0), "control character"},
      {"text after the object", file_of("{}x", 0), "not JSON"},
      {"two objects", file_of("{}{}", 0), "not JSON"},
      {"unfinished", file_of("{\"a\":", 0), "not JSON"},
      {"comment", file_of("{/**/}", 0), "not JSON"},
      {"bad UTF-8", file_of("{\"\xff\":{}}", 0), "not JSON"},
      {"one trailing byte", file_of("{}", 1), "1 bytes after the last tensor"},
      {"trailing bytes after a tensor", file_of("{" + entry("a", "[1]", "[0,4]") + "}", 8),
       "4 bytes after the last tensor"},
      {"deep lists", file_of("{\"a\":{\"shape\":" + std::string(500'000, '['), 0),
       "list where none belongs"},
      {"deep objects", file_of("{\"a\":{\"dtype\":" + repeated("{\"a\":", 900'000), 0),
       "object where none belongs"},
      {"huge name", file_of("{" + entry(std::string(900'000, 'n'), "[0]", "[0,0]") + "}", 0),
       "string or number over"},
      {"huge escaped name",
       file_of("{" + entry(repeated("\\\"", 900'000), "[0]", "[0,0]") + "}", 0),
       "string or number over"},
      {"huge number",
       file_of("{" + entry("a", "[" + std::string(900'000, '1') + "]", "[0,0]") + "}", 0),
       "string or number over"},
      {"too many tensors", many_tensors(1025), "over 1024 tensors"},
  };
}

std::vector<Attack> layout_attacks() {
  const auto file = [](const std::string& entries, std::size_t size) {
    return file_of("{" + entries + "}", size);
  };
  return {
      {"past the end", file(entry("a", "[2]", "[0,8]"), 4), "past the end"},
      {"end 2^64-1", file(entry("a", "[1]", "[0,18446744073709551615]"), 4), "past the end"},
      {"begin 2^64-4, wraps", file(entry("a", "[2]", "[18446744073709551612,4]"), 4),
       "ends before"},
      {"reversed", file(entry("a", "[1]", "[4,0]"), 4), "ends before it begins"},
      {"overlap", file(entry("a", "[2]", "[0,8]") + "," + entry("b", "[2]", "[4,12]"), 12),
       "overlaps"},
      {"same range twice", file(entry("a", "[1]", "[0,4]") + "," + entry("b", "[1]", "[0,4]"), 4),
       "overlaps"},
      {"hole at the start", file(entry("a", "[1]", "[4,8]"), 8), "a hole before"},
      {"hole between", file(entry("a", "[1]", "[0,4]") + "," + entry("b", "[1]", "[8,12]"), 12),
       "a hole before"},
      {"shape smaller than range", file(entry("a", "[1]", "[0,8]"), 8), "shape needs 4"},
      {"shape larger than range", file(entry("a", "[3]", "[0,8]"), 8), "shape needs 12"},
      {"half a float", file(entry("a", "[1]", "[0,6]"), 6), "shape needs 4"},
      {"product overflows to 4", file(entry("a", "[4611686018427387905]", "[0,4]"), 4),
       "overflows"},
      {"product overflows to 0", file(entry("a", "[4294967296,4294967296]", "[0,0]"), 0),
       "overflows"},
      {"dimension 2^63", file(entry("a", "[9223372036854775808]", "[0,0]"), 0), "over 2^63"},
      {"dimension 2^64", file(entry("a", "[18446744073709551616]", "[0,0]"), 0), "64-bit integer"},
      {"negative dimension", file(entry("a", "[-1]", "[0,4]"), 4), "negative number"},
      {"negative offset", file(entry("a", "[1]", "[-4,0]"), 4), "negative number"},
      {"fraction", file(entry("a", "[1.0]", "[0,4]"), 4), "not a 64-bit integer"},
      {"exponent", file(entry("a", "[1e0]", "[0,4]"), 4), "not a 64-bit integer"},
      {"NaN dimension", file(entry("a", "[NaN]", "[0,4]"), 4), "not JSON"},
      {"NaN offset", file(entry("a", "[1]", "[0,nan]"), 4), "not JSON"},
      {"Infinity", file(entry("a", "[Infinity]", "[0,4]"), 4), "not JSON"},
      {"nine dimensions", file(entry("a", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4), "over 8 dimensions"},
      {"one offset", file(entry("a", "[1]", "[4]"), 4), "two numbers"},
      {"three offsets", file(entry("a", "[1]", "[0,4,4]"), 4), "two numbers"},
      {"no offsets", file(entry("a", "[0]", "[]"), 0), "two numbers"},
      {"nested shape", file(entry("a", "[[1]]", "[0,4]"), 4), "list where none belongs"},
  };
}

std::vector<Attack> field_attacks() {
  const auto file = [](const std::string& text) { return file_of(text, 4); };
  const std::string good = R"("shape":[1],"data_offsets":[0,4])";
  return {
      {"dtype f32", file(R"({"a":{"dtype":"f32",)" + good + "}}"),
       "dtype f32 (tensor 'a') is not supported, convert to F32"},
      {"dtype a number", file(R"({"a":{"dtype":32,)" + good + "}}"), "number where none belongs"},
      {"dtype a list", file(R"({"a":{"dtype":["F32"],)" + good + "}}"), "list where none belongs"},
      {"dtype missing", file("{\"a\":{" + good + "}}"), "missing"},
      {"shape missing", file(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})"), "missing"},
      {"offsets missing", file(R"({"a":{"dtype":"F32","shape":[1]}})"), "missing"},
      {"shape null", file(R"({"a":{"dtype":"F32","shape":null,"data_offsets":[0,4]}})"), "null"},
      {"shape a string", file(R"({"a":{"dtype":"F32","shape":"1","data_offsets":[0,4]}})"),
       "string where none belongs"},
      {"dtype twice", file(R"({"a":{"dtype":"F32","dtype":"F32",)" + good + "}}"),
       "duplicate field"},
      {"offsets twice", file(R"({"a":{"dtype":"F32","data_offsets":[0,0],)" + good + "}}"),
       "duplicate field"},
      {"unknown field", file(R"({"a":{"dtype":"F32","code":"x",)" + good + "}}"), "unknown field"},
      {"duplicate tensor",
       file("{" + entry("a", "[1]", "[0,4]") + "," + entry("a", "[0]", "[4,4]") + "}"),
       "duplicate name"},
      {"duplicate by escape",
       file("{" + entry("a", "[1]", "[0,4]") + "," + entry("\\u0061", "[0]", "[4,4]") + "}"),
       "duplicate name"},
      {"tensor a number", file(R"({"a":1})"), "number where none belongs"},
      {"tensor true", file(R"({"a":true})"), "true or false"},
      {"tensor a list", file(R"({"a":[]})"), "list where none belongs"},
      {"metadata a number", file(R"({"__metadata__":{"a":1},)" + entry("a", "[1]", "[0,4]") + "}"),
       "number where none belongs"},
      {"metadata nested", file(R"({"__metadata__":{"a":{}},)" + entry("a", "[1]", "[0,4]") + "}"),
       "object where none belongs"},
      {"metadata a string", file(R"({"__metadata__":"x",)" + entry("a", "[1]", "[0,4]") + "}"),
       "string where none belongs"},
  };
}

void expect_rejected(const std::vector<Attack>& attacks) {
  for (const Attack& attack : attacks) {
    std::size_t allocated = 0;
    const std::string reason = rejection(attack.bytes, &allocated);
    EXPECT_THAT(reason, HasSubstr(attack.reason)) << attack.name;
    EXPECT_THAT(reason, HasSubstr("FILE")) << attack.name;
    EXPECT_LE(allocated, attack.bytes.size() + (1u << 20)) << attack.name;
    EXPECT_LT(reason.size(), 300u) << attack.name;
    EXPECT_TRUE(std::all_of(reason.begin(), reason.end(), [](char c) { return c >= ' ' || c < 0; }))
        << attack.name;
  }
}

TEST(ParseSafetensors, RejectsAttacksOnTheFraming) { expect_rejected(framing_attacks()); }
TEST(ParseSafetensors, RejectsAttacksOnTheLayout) { expect_rejected(layout_attacks()); }
TEST(ParseSafetensors, RejectsAttacksOnTheFields) { expect_rejected(field_attacks()); }

TEST(ParseSafetensors, SaysOfOtherDtypesWhatToDoAndDoesNotCallTheFileInvalid) {
  for (const std::string dtype : {"F16", "BF16", "F64", "F8_E4M3", "I64", "U8", "BOOL", "C64"}) {
    const std::string header =
        R"({"a":{"dtype":")" + dtype + R"(","shape":[1],"data_offsets":[0,8]}})";
    const std::string reason = rejection(file_of(header, 8));
    EXPECT_THAT(reason,
                HasSubstr("dtype " + dtype + " (tensor 'a') is not supported, convert to F32"));
    EXPECT_THAT(reason, Not(HasSubstr("not a valid"))) << dtype;
  }
}

TEST(ParseSafetensors, AcceptsTheLimitsThemselves) {
  EXPECT_EQ(rejection(many_tensors(1024)), "");
  EXPECT_EQ(rejection(file_of("{" + entry("a", "[1,1,1,1,1,1,1,1]", "[0,4]") + "}", 4)), "");
  const std::string text = "{" + entry("a", "[1]", "[0,4]") + "}";
  EXPECT_EQ(rejection(file_of(text + std::string((1u << 20) - text.size(), ' '), 4)), "");
}

TEST(ParseSafetensors, PutsNoControlCharactersIntoMessages) {
  const std::string reason = rejection(file_of(R"({"\u001b[2J\n":{}})", 0));
  EXPECT_THAT(reason, HasSubstr("?[2J?"));
}

TEST(ParseSafetensors, AllocatesNoMoreThanTheFilePlusOneMebibyte) {
  const std::string bytes =
      serialize_safetensors({{"a", {1'000'000}, std::vector<float>(1'000'000)}});
  std::size_t allocated = 0;
  EXPECT_EQ(rejection(bytes, &allocated), "");
  EXPECT_GE(allocated, 4'000'000u) << "the counter does not count";
  EXPECT_LE(allocated, bytes.size() + (1u << 20));
}

// Generates files that are almost right: a valid layout in which a few numbers, fields, names or
// bytes are replaced by ones at a boundary.
class Mutator {
 public:
  explicit Mutator(std::uint32_t seed) : random_(seed) {}

  std::string next() {
    std::vector<std::string> entries;
    std::uint64_t position = 0;
    const std::size_t count = pick(5);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t rows = pick(4), columns = pick(4), end = position + 4 * rows * columns;
      std::string shape = "[" + number(rows) + "," + number(columns) + "]";
      if (rare())
        shape = one_of({"[]", "[[1]]", "null", "\"1\"", "[1.5]", "[0,18446744073709551615]"});
      const std::string name =
          rare() ? one_of({"t0", "__metadata__", "", "\\u0000"}) : "t" + std::to_string(i);
      std::string text = entry(name, shape, "[" + number(position) + "," + number(end) + "]");
      if (rare()) text.replace(text.find("F32"), 3, one_of({"F64", "F16", "", "F32\\u0000"}));
      entries.push_back(std::move(text));
      position = end;
    }
    if (pick(4) == 0) std::shuffle(entries.begin(), entries.end(), random_);
    if (rare() && !entries.empty()) entries.push_back(entries.front());
    std::string header = pick(4) == 0 ? R"({"__metadata__":{"k":"v"})" : "{";
    for (const std::string& text : entries) header += (header.size() > 1 ? "," : "") + text;
    header += "}" + std::string(pick(9), ' ');
    std::string bytes = file_of(header, static_cast<std::size_t>(position));
    if (rare()) bytes.append(pick(9), 'x');
    if (rare()) bytes.resize(bytes.size() - pick(std::min<std::size_t>(9, bytes.size())));
    for (; pick(6) == 0 && !bytes.empty();) {
      bytes[pick(std::min<std::size_t>(bytes.size(), pick(2) == 0 ? 8 : 400))] =
          static_cast<char>(pick(256));
    }
    return bytes;
  }

 private:
  std::size_t pick(std::size_t bound) { return random_() % bound; }
  bool rare() { return pick(40) == 0; }
  std::string one_of(std::vector<std::string> choices) { return choices[pick(choices.size())]; }
  std::string number(std::uint64_t value) {
    if (!rare()) return std::to_string(value);
    const std::uint64_t edges[] = {0,
                                   1,
                                   value + 1,
                                   value - 1,
                                   value + 4,
                                   value - 4,
                                   1u << 31,
                                   ~0u,
                                   std::uint64_t{1} << 32,
                                   std::uint64_t{1} << 61,
                                   (std::uint64_t{1} << 62) + 1,
                                   std::uint64_t{1} << 63,
                                   ~std::uint64_t{3}};
    return (pick(20) == 0 ? "-" : "") + std::to_string(edges[pick(std::size(edges))]);
  }
  std::mt19937 random_;
};

// What every accepted file must satisfy: the tensors, in order, are exactly the data of the file.
void check_accepted(const std::string& bytes, const std::vector<NamedTensor>& tensors) {
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), sizeof header_size);
  std::string data;
  std::set<std::string> names;
  for (const NamedTensor& tensor : tensors) {
    std::size_t count = 1;
    for (const std::int64_t dimension : tensor.shape) count *= static_cast<std::size_t>(dimension);
    ASSERT_EQ(count, tensor.data.size());
    ASSERT_TRUE(names.insert(tensor.name).second);
    data.append(reinterpret_cast<const char*>(tensor.data.data()), 4 * tensor.data.size());
  }
  ASSERT_EQ(data, bytes.substr(8 + header_size));
}

TEST(ParseSafetensors, SurvivesStructureAwareMutations) {
  Mutator mutator(20240613);
  std::int64_t accepted = 0, rejected = 0;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(1500);
  for (int run = 0; run < 60'000 && std::chrono::steady_clock::now() < deadline; ++run) {
    const std::string bytes = mutator.next();
    const std::size_t before = live_bytes;
    peak_bytes = before;
    try {
      const std::vector<NamedTensor> tensors = parse_safetensors(bytes, "FILE");
      ASSERT_LE(peak_bytes - before, bytes.size() + (1u << 20));
      ASSERT_NO_FATAL_FAILURE(check_accepted(bytes, tensors)) << "run " << run;
      ++accepted;
    } catch (const BadInput&) {
      ASSERT_LE(peak_bytes - before, bytes.size() + (1u << 20));
      ++rejected;
    }
  }
  // neither side may be a rarity, or the mutations miss the interesting files
  EXPECT_GT(accepted, (accepted + rejected) / 10);
  EXPECT_GT(rejected, (accepted + rejected) / 10);
  EXPECT_GT(accepted + rejected, 1000);
}

}  // namespace safetensors_attack_test
}  // namespace lockstep
