// Reads GIF files that libcgif writes: whole pictures and how long they last. Test code only.
// Source: GIF89a specification, CompuServe 1990.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::test {

struct GifFilm {
  int width = 0, height = 0;
  bool endless = false;
  std::vector<std::vector<std::uint8_t>> pictures;  // RGB
  std::vector<int> delays;                          // 1/100 s
};

class GifReader {
 public:
  explicit GifReader(std::string_view bytes) : bytes_(bytes) {}

  GifFilm read() {
    if (take(6) != "GIF89a") throw std::runtime_error("no GIF89a");
    film_.width = u16();
    film_.height = u16();
    const int flags = u8();
    take(2);
    const std::string global = (flags & 0x80) != 0 ? palette(flags) : "";
    std::vector<std::uint8_t> canvas(static_cast<std::size_t>(film_.width * film_.height * 3));
    int delay = 0, transparent = -1;
    for (int kind = u8(); kind != 0x3b; kind = u8()) {
      if (kind == 0x21) {
        const int label = u8();
        const std::string data = blocks();
        if (label == 0xff) film_.endless = data.starts_with("NETSCAPE2.0\x01") && data.size() == 14;
        if (label != 0xf9) continue;
        delay = byte(data, 1) | byte(data, 2) << 8;
        transparent = (byte(data, 0) & 1) != 0 ? byte(data, 3) : -1;
      } else if (kind == 0x2c) {
        const int left = u16(), top = u16(), width = u16(), height = u16(), local = u8();
        const std::string colours = (local & 0x80) != 0 ? palette(local) : global;
        const int bits = u8();
        const std::vector<int> indices = decompress(blocks(), bits);
        if (indices.size() != static_cast<std::size_t>(width * height)) {
          throw std::runtime_error("a picture of another size");
        }
        for (std::size_t i = 0; i < indices.size(); ++i) {
          if (indices[i] == transparent) continue;
          const int x = left + static_cast<int>(i) % width, y = top + static_cast<int>(i) / width;
          for (std::size_t k = 0; k < 3; ++k) {
            canvas.at(static_cast<std::size_t>((y * film_.width + x) * 3) + k) =
                static_cast<std::uint8_t>(
                    byte(colours, static_cast<std::size_t>(indices[i]) * 3 + k));
          }
        }
        film_.pictures.push_back(canvas);
        film_.delays.push_back(delay);
      } else {
        throw std::runtime_error("an unknown block");
      }
    }
    if (at_ != bytes_.size()) throw std::runtime_error("bytes after the end");
    return film_;
  }

 private:
  static int byte(std::string_view text, std::size_t i) {
    return static_cast<unsigned char>(std::string(text).at(i));
  }
  std::string_view take(std::size_t size) {
    if (at_ + size > bytes_.size()) throw std::runtime_error("it is cut off");
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }
  int u8() { return byte(take(1), 0); }
  int u16() {
    const int low = u8();
    return low | u8() << 8;
  }
  std::string palette(int flags) { return std::string(take(std::size_t{3} << ((flags & 7) + 1))); }
  std::string blocks() {
    std::string data;
    for (int size = u8(); size != 0; size = u8()) data += take(static_cast<std::size_t>(size));
    return data;
  }
  static std::vector<int> decompress(const std::string& data, int bits) {
    const int clear = 1 << bits, end = clear + 1;
    std::vector<std::vector<int>> table;
    const auto restart = [&] {
      table.clear();
      for (int i = 0; i < clear + 2; ++i) table.push_back({i});
    };
    restart();
    std::vector<int> out, before;
    int width = bits + 1;
    std::size_t position = 0;
    while (true) {
      int code = 0;
      for (int i = 0; i < width; ++i, ++position) {
        code |= (byte(data, position / 8) >> (position % 8) & 1) << i;
      }
      if (code == end) return out;
      if (code == clear) {
        restart();
        width = bits + 1;
        before.clear();
        continue;
      }
      std::vector<int> entry = before;
      if (static_cast<std::size_t>(code) < table.size()) {
        entry = table[static_cast<std::size_t>(code)];
      } else {
        entry.push_back(before.at(0));
      }
      out.insert(out.end(), entry.begin(), entry.end());
      if (!before.empty() && table.size() < 4096) {
        before.push_back(entry.at(0));
        table.push_back(before);
        if (table.size() == std::size_t{1} << width && width < 12) ++width;
      }
      before = entry;
    }
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
  GifFilm film_;
};

}  // namespace lockstep::test
