// host/files/npy.h: single arrays, their conversions, and the archive that the writer makes of
// them.
#include "host/files/npy.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "host/errors.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/npy_file.h"
#include "tests/support/crc32.h"

namespace lockstep::fuzz {
namespace {

constexpr std::size_t kMaxRank = 8, kPrefix = 10;

std::uint64_t fixed_at(std::string_view bytes, std::size_t at, std::size_t count) {
  check(at + count <= bytes.size(), "an archive is cut off");
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
  }
  return value;
}

// The one entry of an archive, by its local header (PKWARE APPNOTE 4.3.7), its checksum compared.
std::string_view only_entry(std::string_view archive) {
  check(fixed_at(archive, 0, 4) == 0x04034b50, "no local header");
  const std::size_t name = fixed_at(archive, 26, 2), extra = fixed_at(archive, 28, 2);
  const std::uint64_t size = fixed_at(archive, 30 + name + 4, 8);
  check(size <= archive.size() - 30 - name - extra, "an entry past the end");
  const std::string_view content = archive.substr(30 + name + extra, size);
  check(test::crc32(content.data(), content.size()) == fixed_at(archive, 14, 4),
        "an entry's checksum");
  return content;
}

template <class Convert>
void convert(const NpyArray& array, Convert to) {
  try {
    check((array.*to)("FILE").size() == static_cast<std::size_t>(array.size()), "values are lost");
  } catch (const BadInput&) {
    return;
  }
}

void run(std::string_view input) {
  NpyArray array;
  try {
    array = bounded(input.size() + 4096, [&] { return parse_npy(input, "FILE"); });
  } catch (const BadInput&) {
    return;
  }
  check(array.shape.size() <= kMaxRank, "rank beyond the limit accepted");
  check(array.bytes.size() <= input.size(), "more data than the file has");
  convert(array, &NpyArray::to_float64);
  convert(array, &NpyArray::to_float32);
  convert(array, &NpyArray::to_uint8);

  const std::filesystem::path path = scratch() / "array.npz";
  NpzWriter writer(path);
  writer.add("a", array.dtype, array.shape, array.bytes);
  writer.close();
  const std::string archive = slurp(path);
  const NpyArray again = parse_npy(only_entry(archive), "AGAIN");
  check(again.dtype == array.dtype && again.shape == array.shape && again.bytes == array.bytes,
        "what was written reads back differently");
}

std::vector<std::string> seeds() {
  const std::string zeros(8, '\0');
  return {npy_of("|u1", "(3,)", "\1\2\3"),
          npy_of("|b1", "()", "\1"),
          npy_of("<f4", "(1, 2)", zeros),
          npy_of("<f8", "(1,)", zeros),
          npy_of("<i8", "(0, 4, 2)", ""),
          npy_of("<i4", "(2,)", zeros),
          npy_of("|i1", "(2, 2)", "\1\2\3\4"),
          npy_of("<u4", "(1, 1, 1, 1, 2)", zeros),
          npy_of("|u1", "(1, 1, 1, 1, 1, 1, 1, 1)", "\1")};
}

std::vector<std::string> words() {
  return {"'descr': ",
          "'fortran_order': False",
          "'fortran_order': True",
          "'shape': (",
          "|b1",
          "|u1",
          "|i1",
          "<i4",
          "<u4",
          "<i8",
          "<f4",
          "<f8"};
}

// Keeps the length of the header true, often also that of the data.
std::string mutate(std::string input, Random& random,
                   const std::function<std::string(std::string)>& bytes) {
  const std::size_t size = input.size() < kPrefix ? 0 : fixed_at(input, 8, 2);
  if (input.size() < kPrefix + size) return npy_of("|u1", "(1,)", input.substr(0, 1));
  std::string header = input.substr(kPrefix, size), data = input.substr(kPrefix + size);
  switch (random() % 4) {
    case 0:
      header = bytes(header);
      break;
    case 1:
      data = bytes(data);
      break;
    default:
      header = mutate_json(header, random);
  }
  if (random() % 2 == 0) {  // the size that a plain reader of the shape would expect
    std::uint64_t count = 1;
    for (std::size_t i = header.find('('); i < header.size() && header[i] != ')';) {
      const std::size_t end =
          std::min(header.find_first_not_of("0123456789", i + 1), header.size());
      if (std::isdigit(static_cast<unsigned char>(header[i])) != 0 && end - i < 6) {
        count = std::min<std::uint64_t>(count * std::stoul(header.substr(i, end - i)), 1 << 12);
      }
      i = end;
    }
    const std::size_t item = header.find("8'") != std::string::npos   ? 8
                             : header.find("4'") != std::string::npos ? 4
                                                                      : 1;
    data.resize(count * item, '\1');
  }
  return npy_of(header, data);
}

const Registration registration({"npy", seeds, run, words, mutate});

}  // namespace
}  // namespace lockstep::fuzz
