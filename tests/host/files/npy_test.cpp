// Tests for host/files/npy.h. NumPy itself reads our archives in tests/python/io_check.py.
#include "host/files/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>

#include "host/errors.h"
#include "host/files/crc32c.h"
#include "tests/support/scratch_folder.h"

namespace lockstep {
namespace npy_test {

namespace fs = std::filesystem;
using test::ScratchFolder;
using test::slurp;
using test::spill;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Shape = std::vector<std::int64_t>;

std::string header_text(std::string_view descr, std::string_view shape,
                        std::string_view order = "False") {
  return "{'descr': " + std::string(descr) + ", 'fortran_order': " + std::string(order) +
         ", 'shape': " + std::string(shape) + ", }";
}

// A .npy file of version `major`.0.
std::string npy(std::string_view header, std::string_view data, int major = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += {static_cast<char>(major), '\0'};
  for (int i = 0; i < (major == 1 ? 2 : 4); ++i) {
    bytes.push_back(static_cast<char>((header.size() >> (8 * i)) & 0xff));
  }
  return bytes.append(header).append(data);
}

template <typename T>
std::string raw(std::vector<T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string rejection(const std::function<void()>& call) {
  try {
    call();
  } catch (const BadInput& error) {
    return error.what();
  }
  return "";
}

std::string rejection(std::string_view bytes) {
  return rejection([bytes] { parse_npy(bytes, "FILE"); });
}

// numpy 1.24: numpy.save(f, numpy.arange(3, dtype=numpy.uint8)), 131 bytes.
TEST(ParseNpy, ReadsWhatNumpyWrote) {
  const std::string header = header_text("'|u1'", "(3,)") + std::string(60, ' ') + "\n";
  const std::string bytes = npy(header, std::string("\0\1\2", 3));
  ASSERT_EQ(bytes.size(), 131u);
  const NpyArray array = parse_npy(bytes, "FILE");
  EXPECT_EQ(array.shape, Shape{3});
  EXPECT_EQ(array.dtype, NpyType::kUint8);
  EXPECT_THAT(array.to_uint8("FILE"), ElementsAre(0, 1, 2));
}

TEST(ParseNpy, ReadsEveryTypeAndShape) {
  const auto values = [](std::string_view descr, std::string_view shape, std::string_view data,
                         int major = 1) {
    return parse_npy(npy(header_text(descr, shape), data, major), "FILE").to_float64("FILE");
  };
  EXPECT_THAT(values("'|b1'", "(2,)", raw<std::uint8_t>({0, 1})), ElementsAre(0, 1));
  EXPECT_THAT(values("'|u1'", "(2, 1)", raw<std::uint8_t>({0, 255})), ElementsAre(0, 255));
  EXPECT_THAT(values("'|i1'", "(1, 2)", raw<std::int8_t>({-128, 127})), ElementsAre(-128, 127));
  EXPECT_THAT(values("'<i4'", "(1,)", raw<std::int32_t>({-2147483648})),
              ElementsAre(-2147483648.0));
  EXPECT_THAT(values("'<u4'", "(1,)", raw<std::uint32_t>({4294967295u})),
              ElementsAre(4294967295.0));
  EXPECT_THAT(values("'<i8'", "()", raw<std::int64_t>({1LL << 40})), ElementsAre(1099511627776.0));
  EXPECT_THAT(values("'<f4'", "(1,)", raw<float>({0.1f}), 2),
              ElementsAre(0.100000001490116119384765625));
  EXPECT_THAT(values("\"<f8\"", "(1,1,1,1,1,1,1,1)", raw<double>({5e-324})), ElementsAre(5e-324));
  EXPECT_THAT(values("'<f8'", "(0, 9223372036854775807)", ""), IsEmpty());
}

TEST(ParseNpy, RejectsHostileFiles) {
  struct Attack {
    std::string bytes;
    const char* reason;
  };
  const std::string good = header_text("'|u1'", "(1,)");
  const Attack attacks[] = {
      {"", "does not begin"},
      {"\x93NUMPX\1\0\0\0\0\0", "does not begin"},
      {"PK\3\4 an archive", "does not begin"},
      {std::string("\x93NUMPY\1\0\0\0", 10), "cut off"},
      {npy(good, "x", 3), "format version 3.0"},
      {npy(good, "x", 0), "format version 0.0"},
      {npy(good, "x").substr(0, 40), "cut off"},
      {std::string("\x93NUMPY\2\0\xff\xff\xff\xff{}", 14), "over 64 KiB"},
      {npy(good, ""), "0 bytes of data where the shape needs 1"},
      {npy(good, "xx"), "2 bytes of data where the shape needs 1"},
      {npy(header_text("'<f4'", "(4611686018427387905,)"), "xxxx"), "more than 2^64"},
      {npy(header_text("'|u1'", "(4294967296, 4294967296)"), ""), "more than 2^64"},
      {npy(header_text("'|u1'", "(9223372036854775808,)"), ""), "dimensions must be"},
      {npy(header_text("'|u1'", "(-1,)"), "x"), "dimensions must be"},
      {npy(header_text("'|u1'", "(1.0,)"), "x"), "')' expected"},
      {npy(header_text("'|u1'", "(1)"), "x"), "must be a tuple"},
      {npy(header_text("'|u1'", "(,)"), "x"), "dimensions must be"},
      {npy(header_text("'|u1'", "[1]"), "x"), "'(' expected"},
      {npy(header_text("'|u1'", "(1,1,1,1,1,1,1,1,1)"), "x"), "over 8 dimensions"},
      {npy(header_text("'>f4'", "(1,)"), "xxxx"), "dtype '>f4'"},
      {npy(header_text("'|O'", "(1,)"), "xxxxxxxx"), "dtype '|O'"},
      {npy(header_text("[('a', '<f4')]", "(1,)"), "xxxx"), "structured"},
      {npy(header_text("'|u1'", "(1,)", "True"), "x"), "Fortran order"},
      {npy(header_text("'|u1'", "(1,)", "None"), "x"), "must be True or False"},
      {npy(header_text("'|u1'", "(1,)", "__import__('os')"), "x"), "must be True or False"},
      {npy(good + "x", "x"), "text after"},
      {npy(good + std::string("\0", 1), "x"), "text after"},
      {npy("{'descr': '|u1', 'shape': (1,)}", "x"), "is missing"},
      {npy("{'descr': '|u1', 'descr': '|u1'}", "x"), "repeated key 'descr'"},
      {npy("{'code': 1}", "x"), "unknown or repeated key 'code'"},
      {npy("{'descr", "x"), "string without end"},
      {npy("{", "x"), "' expected"},
      {npy("", "xx"), "'{' expected"},
      {npy(header_text("'|b1'", "(1,)"), "\2"), "neither 0 nor 1"},
      {npy(header_text("'\x1b[2J'", "(1,)"), "x"), "dtype '?[2J'"},
  };
  for (const Attack& attack : attacks) {
    EXPECT_THAT(rejection(attack.bytes), AllOf(HasSubstr("FILE"), HasSubstr(attack.reason)));
  }
}

TEST(ParseNpy, RejectsEveryLengthButTheWhole) {
  const std::string bytes = npy(header_text("'<f4'", "(2, 2)"), raw<float>({1, 2, 3, 4}));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_NE(rejection(std::string_view(bytes).substr(0, size)), "") << size;
  }
  EXPECT_EQ(rejection(bytes), "");
}

// Every accepted mutant must agree with its own shape; any other outcome is a rejection.
TEST(ParseNpy, SurvivesMutations) {
  std::mt19937 random(7);
  const std::string good =
      npy(header_text("'<i4'", "(2, 3)"), raw<std::int32_t>({1, 2, 3, 4, 5, 6}));
  const char* const parts[] = {"'",   "(",   ")", ",",   "0", "9223372036854775807",
                               "<f8", "|u1", "-", "True"};
  int accepted = 0, rejected = 0;
  for (int run = 0; run < 20'000; ++run) {
    std::string bytes = good;
    for (auto change = random() % 3; change < 3; ++change) {
      const std::size_t at = random() % bytes.size();
      if (random() % 2 == 0) {
        bytes[at] = static_cast<char>(random() & 0xff);
      } else {
        bytes.replace(at, random() % 4, parts[random() % std::size(parts)]);
      }
    }
    try {
      const NpyArray array = parse_npy(bytes, "FILE");
      std::int64_t items = 1;
      for (const std::int64_t dimension : array.shape) items *= dimension;
      ASSERT_EQ(items, array.size());
      ASSERT_LE(array.bytes.size(), bytes.size());
      ++accepted;
    } catch (const BadInput&) {
      ++rejected;
    }
  }
  EXPECT_GT(accepted, 500);
  EXPECT_GT(rejected, 500);
}

TEST(NpyArray, ConvertsExactlyOrNotAtAll) {
  const auto array = [](std::string_view descr, std::string_view data) {
    return parse_npy(npy(header_text(descr, "(1,)"), data), "FILE");
  };
  constexpr std::int64_t kBig = (std::int64_t{1} << 53) + 1;
  EXPECT_THAT(rejection([&] { array("'<i8'", raw<std::int64_t>({kBig})).to_float64("F"); }),
              HasSubstr("F: value 0 is an integer beyond 2^53"));
  EXPECT_THAT(rejection([&] { array("'<i4'", raw<std::int32_t>({16777217})).to_float32("F"); }),
              HasSubstr("beyond 2^24"));
  EXPECT_THAT(rejection([&] { array("'<f8'", raw<double>({1e39})).to_float32("F"); }),
              HasSubstr("beyond float32"));
  EXPECT_THAT(rejection([&] { array("'<i4'", raw<std::int32_t>({256})).to_uint8("F"); }),
              HasSubstr("outside [0, 255]"));
  EXPECT_THAT(rejection([&] { array("'|i1'", raw<std::int8_t>({-1})).to_uint8("F"); }),
              HasSubstr("outside [0, 255]"));
  EXPECT_THAT(rejection([&] { array("'<f4'", raw<float>({1})).to_uint8("F"); }),
              HasSubstr("dtype float32 where integers are needed"));
  EXPECT_THAT(array("'<f8'", raw<double>({0.1})).to_float32("F"), ElementsAre(0.1f));
  EXPECT_THAT(array("'<i8'", raw<std::int64_t>({kBig - 1})).to_float64("F"),
              ElementsAre(9007199254740992.0));
  EXPECT_TRUE(std::isinf(
      array("'<f8'", raw<double>({std::numeric_limits<double>::infinity()})).to_float32("F")[0]));
}

TEST(ReadNpy, ReadsAFileAndNamesItInErrors) {
  const ScratchFolder scratch;
  spill(scratch / "a.npy", npy(header_text("'<f8'", "(2,)"), raw<double>({1, 2})));
  EXPECT_THAT(read_npy(scratch / "a.npy").to_float64("a"), ElementsAre(1, 2));
  spill(scratch / "a.npy", "no");
  EXPECT_THAT(rejection([&] { read_npy(scratch / "a.npy"); }), HasSubstr("a.npy"));
  EXPECT_THROW(read_npy(scratch / "missing.npy"), BadInput);
}

// The bytes of one member by the fields of its local header.
std::string member(const std::string& archive, const std::string& name) {
  const std::size_t at = archive.find(name) - 30;
  std::uint32_t crc = 0;
  std::uint16_t name_size = 0, extra_size = 0;
  std::uint64_t size = 0;
  std::memcpy(&crc, archive.data() + at + 14, 4);
  std::memcpy(&name_size, archive.data() + at + 26, 2);
  std::memcpy(&extra_size, archive.data() + at + 28, 2);
  std::memcpy(&size, archive.data() + at + 30 + name_size + 4, 8);
  const std::string content = archive.substr(at + 30 + name_size + extra_size, size);
  EXPECT_EQ(crc, crc32_zip(content)) << name;
  return content;
}

TEST(NpzWriter, MembersAreReadBackBitForBit) {
  const ScratchFolder scratch;
  const std::vector<float> floats = {1, -0.0f, std::numeric_limits<float>::quiet_NaN()};
  const std::vector<double> doubles(30'000, 0.1);
  const std::vector<std::int64_t> longs = {-1, std::numeric_limits<std::int64_t>::max()};
  const std::vector<std::uint8_t> bytes = {0, 1, 1, 0};
  NpzWriter writer(scratch / "out.npz");
  writer.add("floats", {3, 1}, floats);
  writer.add("doubles", {30'000}, doubles);
  writer.add("longs", {2}, longs);
  writer.add("flags", {2, 2}, bytes, NpyType::kBool);
  writer.add("scalar", {}, std::span(bytes).first(1));
  writer.add("empty", {0, 4}, std::span<const float>());
  writer.close();

  const std::string archive = slurp(scratch / "out.npz");
  const NpyArray read_floats = parse_npy(member(archive, "floats.npy"), "floats");
  EXPECT_EQ(read_floats.shape, (Shape{3, 1}));
  EXPECT_EQ(std::memcmp(read_floats.bytes.data(), floats.data(), 12), 0);
  EXPECT_EQ(parse_npy(member(archive, "doubles.npy"), "doubles").to_float64(""), doubles);
  EXPECT_EQ(
      std::memcmp(parse_npy(member(archive, "longs.npy"), "longs").bytes.data(), longs.data(), 16),
      0);
  const NpyArray flags = parse_npy(member(archive, "flags.npy"), "flags");
  EXPECT_EQ(flags.dtype, NpyType::kBool);
  EXPECT_EQ(flags.to_uint8(""), bytes);
  EXPECT_EQ(parse_npy(member(archive, "scalar.npy"), "scalar").shape, Shape{});
  EXPECT_EQ(parse_npy(member(archive, "empty.npy"), "empty").shape, (Shape{0, 4}));
}

TEST(NpzWriter, IsInvisibleUntilClosed) {
  const ScratchFolder scratch;
  {
    NpzWriter writer(scratch / "out.npz");
    writer.add("a", {1}, std::vector<float>{1});
    EXPECT_FALSE(fs::exists(scratch / "out.npz"));
  }
  EXPECT_THAT(scratch.names(), IsEmpty());
}

TEST(NpzWriter, RefusesBadNamesAndShapes) {
  const ScratchFolder scratch;
  EXPECT_THROW(NpzWriter(scratch / "empty.npz").close(), InvalidArgument);
  const std::vector<float> one = {1};
  NpzWriter writer(scratch / "out.npz");
  writer.add("a", {1}, one);
  EXPECT_THROW(writer.add("a", {1}, one), InvalidArgument);
  EXPECT_THROW(writer.add("", {1}, one), InvalidArgument);
  EXPECT_THROW(writer.add("../b", {1}, one), InvalidArgument);
  EXPECT_THROW(writer.add("b", {2}, one), InvalidArgument);
  EXPECT_THROW(writer.add("c", {-1, -1}, one), InvalidArgument);
}

}  // namespace npy_test
}  // namespace lockstep
