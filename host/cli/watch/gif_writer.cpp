// GIF films by libcgif; see film.h. Pixels that stay as they were are not stored.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "host/cli/watch/film.h"
#include "host/errors.h"
#include "host/files/durable_file.h"

#ifdef LS_HAVE_CGIF
#include <cgif.h>
#endif

namespace lockstep::cli {
#ifdef LS_HAVE_CGIF
namespace {

class GifWriter final : public FilmWriter {
 public:
  GifWriter(const std::filesystem::path& path, const FilmShape& shape,
            std::span<const std::uint32_t> colours)
      : shape_(shape), colours_(colours.begin(), colours.end()), file_(path) {
    require(std::max(shape.width, shape.height) <= kMaxGifSize,
            fmt::format("{}: a GIF has at most {} pixels a side", path.string(), kMaxGifSize));
    require(!colours.empty() && colours.size() <= kMaxGifColours,
            fmt::format("{}: {} colours; a GIF has at most {}", path.string(), colours.size(),
                        kMaxGifColours));
    std::sort(colours_.begin(), colours_.end());
    for (const std::uint32_t colour : colours_) {
      for (const int shift : {16, 8, 0}) {
        palette_.push_back(static_cast<std::uint8_t>(colour >> shift));
      }
    }
    CGIF_Config config{};
    config.pGlobalPalette = palette_.data();
    config.attrFlags = CGIF_ATTR_IS_ANIMATED;
    config.width = static_cast<std::uint16_t>(shape.width);
    config.height = static_cast<std::uint16_t>(shape.height);
    config.numGlobalPaletteEntries = static_cast<std::uint16_t>(colours_.size());
    config.numLoops = CGIF_INFINITE_LOOP;
    config.pWriteFn = write;
    config.pContext = this;
    gif_ = cgif_newgif(&config);
    if (gif_ == nullptr) fail();
  }
  ~GifWriter() override {
    if (gif_ != nullptr) cgif_close(gif_);  // what it still writes is not committed
  }

  void add(const Picture& picture) override {
    require_shape(picture, shape_);
    pixels_.clear();
    for (std::size_t i = 0; i < picture.rgb.size(); i += 3) {
      pixels_.push_back(index_of(static_cast<std::uint32_t>(
          picture.rgb[i] << 16 | picture.rgb[i + 1] << 8 | picture.rgb[i + 2])));
    }
    const auto until = [&](std::int64_t pictures) {
      return std::llround(100.0 * static_cast<double>(pictures) / shape_.frames_per_second);
    };
    CGIF_FrameConfig frame{};
    frame.pImageData = pixels_.data();
    frame.genFlags = CGIF_FRAME_GEN_USE_TRANSPARENCY | CGIF_FRAME_GEN_USE_DIFF_WINDOW;
    frame.delay = static_cast<std::uint16_t>(std::min(until(count_ + 1) - until(count_), 65535LL));
    ++count_;
    check(cgif_addframe(gif_, &frame));
  }

  void finish() override {
    check(cgif_close(std::exchange(gif_, nullptr)));
    file_.commit();
  }

 private:
  /// cgif's output; exceptions must not pass through C.
  static int write(void* context, const std::uint8_t* data, std::size_t size) {
    auto& self = *static_cast<GifWriter*>(context);
    try {
      self.file_.write(std::as_bytes(std::span(data, size)));
      return 0;
    } catch (...) {
      self.error_ = std::current_exception();
      return -1;
    }
  }
  void check(int result) const {
    if (error_ != nullptr) std::rethrow_exception(error_);
    if (result != CGIF_OK) fail();
  }
  [[noreturn]] static void fail() { throw RunFailure("libcgif could not make the GIF"); }

  std::uint8_t index_of(std::uint32_t colour) {
    if (colours_[last_] != colour) {
      const auto found = std::lower_bound(colours_.begin(), colours_.end(), colour);
      require(found != colours_.end() && *found == colour,
              fmt::format("colour {:06x} is not among the film's", colour));
      last_ = static_cast<std::size_t>(found - colours_.begin());
    }
    return static_cast<std::uint8_t>(last_);
  }

  FilmShape shape_;
  std::vector<std::uint32_t> colours_;
  std::size_t last_ = 0;  // index found last: neighbours are alike
  std::vector<std::uint8_t> palette_, pixels_;
  DurableFile file_;
  std::exception_ptr error_;
  std::int64_t count_ = 0;
  CGIF* gif_ = nullptr;
};

}  // namespace

std::unique_ptr<FilmWriter> gif_writer(const std::filesystem::path& path, const FilmShape& shape,
                                       std::span<const std::uint32_t> colours) {
  return std::make_unique<GifWriter>(path, shape, colours);
}

#else

std::unique_ptr<FilmWriter> gif_writer(const std::filesystem::path&, const FilmShape&,
                                       std::span<const std::uint32_t>) {
  throw DeviceUnavailable("--gif: this build has no libcgif (Debian: libcgif-dev)");
}

#endif
}  // namespace lockstep::cli
