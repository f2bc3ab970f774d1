// Tests for host/files/safetensors.h.
#include "host/files/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "host/errors.h"
#include "host/files/crc32c.h"
#include "tests/support/scratch_folder.h"

namespace lockstep {
namespace safetensors_test {

using test::ScratchFolder;
using test::spill;
using ::testing::HasSubstr;

// A file of this header and so many zero bytes of data.
std::string file_of(std::string_view header, std::size_t data_size) {
  const std::uint64_t size = header.size();
  std::string bytes(sizeof size, '\0');
  std::memcpy(bytes.data(), &size, sizeof size);
  return bytes.append(header).append(data_size, '\0');
}

std::vector<NamedTensor> example() {
  return {{"layer1.weight", {2, 3}, {1, 2, 3, 4, 5, -6.5f}},
          {"layer1.bias", {2}, {-0.0f, 1e-45f}},
          {"scalar", {}, {7}},
          {"empty", {0, 4}, {}}};
}

void expect_equal(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_EQ(a[i].shape, b[i].shape);
    ASSERT_EQ(a[i].data.size(), b[i].data.size());
    if (a[i].data.empty()) continue;
    EXPECT_EQ(std::memcmp(a[i].data.data(), b[i].data.data(), 4 * a[i].data.size()), 0);
  }
}

TEST(SerializeSafetensors, WritesTheDocumentedBytes) {
  const std::string bytes = serialize_safetensors({{"a", {1}, {1.0f}}}, {{"format", "pt"}});
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  const std::string expected = file_of(padded, 0) + std::string("\0\0\x80\x3f", 4);
  EXPECT_EQ(bytes, expected);
}

TEST(SerializeSafetensors, RefusesWhatItCouldNotReadBack) {
  EXPECT_THROW(serialize_safetensors({{"a", {2}, {1}}}), InvalidArgument);
  EXPECT_THROW(serialize_safetensors({{"a", {-1}, {1}}}), InvalidArgument);
  EXPECT_THROW(serialize_safetensors({{"a", {1}, {1}}, {"a", {1}, {1}}}), InvalidArgument);
  EXPECT_THROW(serialize_safetensors({{"__metadata__", {1}, {1}}}), InvalidArgument);
  EXPECT_THROW(serialize_safetensors({{"a", std::vector<std::int64_t>(9, 1), {1}}}),
               InvalidArgument);
}

TEST(ParseSafetensors, ReturnsWhatWasSerialized) {
  expect_equal(parse_safetensors(serialize_safetensors(example()), "FILE"), example());
  expect_equal(parse_safetensors(serialize_safetensors({}), "FILE"), {});
}

TEST(ParseSafetensors, AcceptsOtherWritersFiles) {
  // entries in another order than their data, spaces, escapes, padding
  const std::string header = R"({ "b" : {"shape":[1],"data_offsets":[8,12],"dtype":"F32"},
      "__metadata__":{"note":"a \"quoted\" \\ text"},
      "\u0061":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}      )";
  const std::vector<NamedTensor> tensors = parse_safetensors(file_of(header, 12), "FILE");
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors[0].name, "a");
  EXPECT_EQ(tensors[1].name, "b");
  EXPECT_EQ(tensors[0].shape, (std::vector<std::int64_t>{2, 1}));
}

TEST(ParseSafetensors, RejectsEveryLengthButTheWhole) {
  const std::string bytes = serialize_safetensors(example());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_THROW(parse_safetensors(std::string_view(bytes).substr(0, size), "FILE"), BadInput)
        << size;
  }
}

TEST(ReadSafetensors, ReadsAFileAndNamesItInErrors) {
  const ScratchFolder scratch;
  spill(scratch / "m.safetensors", serialize_safetensors(example()));
  expect_equal(read_safetensors(scratch / "m.safetensors"), example());
  spill(scratch / "m.safetensors", "short");
  try {
    read_safetensors(scratch / "m.safetensors");
    FAIL() << "accepted";
  } catch (const BadInput& error) {
    EXPECT_THAT(error.what(), HasSubstr("m.safetensors"));
  }
  EXPECT_THROW(read_safetensors(scratch / "missing"), BadInput);
  EXPECT_THROW(read_safetensors(scratch.path()), BadInput);
}

TEST(ReadSafetensors, VerifiesTheSeal) {
  const ScratchFolder scratch;
  // longer than one block of the checksum loop
  const std::string bytes = serialize_safetensors({{"a", {10'000}, std::vector<float>(10'000, 1)}});
  spill(scratch / "m", bytes);
  const FileSeal good{.size = bytes.size(), .crc32c = crc32c(bytes)};
  EXPECT_EQ(read_safetensors(scratch / "m", &good).size(), 1u);
  const FileSeal wrong_crc{.size = bytes.size(), .crc32c = good.crc32c ^ 1u};
  const FileSeal wrong_size{.size = bytes.size() + 4, .crc32c = good.crc32c};
  EXPECT_THROW(read_safetensors(scratch / "m", &wrong_crc), BadInput);
  EXPECT_THROW(read_safetensors(scratch / "m", &wrong_size), BadInput);
}

TEST(CheckFinite, NamesTensorAndIndex) {
  std::vector<NamedTensor> tensors = example();
  EXPECT_NO_THROW(check_finite(tensors, "FILE"));
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    tensors[1].data[1] = bad;
    EXPECT_EQ(find_non_finite(tensors), "layer1.bias[1]");
    EXPECT_THROW(check_finite(tensors, "FILE"), BadInput);
  }
}

}  // namespace safetensors_test
}  // namespace lockstep
