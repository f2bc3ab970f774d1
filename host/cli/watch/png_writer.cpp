// Folders of PNG files by libpng; see film.h.
#include <fmt/format.h>

#include <string>

#include "host/cli/watch/film.h"
#include "host/errors.h"
#include "host/files/durable_file.h"

#ifdef LS_HAVE_PNG
#include <png.h>
#endif

namespace lockstep::cli {
#ifdef LS_HAVE_PNG
namespace {

/// The bytes of a PNG file.
std::string png_of(const Picture& picture) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(picture.width);
  image.height = static_cast<png_uint_32>(picture.height);
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string bytes(size, '\0');
  if (png_image_write_to_memory(&image, bytes.data(), &size, 0, picture.rgb.data(), 0, nullptr) ==
      0) {
    throw RunFailure(fmt::format("libpng: {}", image.message));
  }
  bytes.resize(size);
  return bytes;
}

class PngWriter final : public FilmWriter {
 public:
  PngWriter(const std::filesystem::path& path, const FilmShape& shape)
      : shape_(shape), folder_(checked(path)) {}

  void add(const Picture& picture) override {
    require_shape(picture, shape_);
    folder_.add_file(fmt::format("frame-{:06}.png", count_++), png_of(picture));
  }
  void finish() override { folder_.commit(); }

 private:
  static const std::filesystem::path& checked(const std::filesystem::path& path) {
    require(!std::filesystem::exists(std::filesystem::symlink_status(path)),
            "--png: " + path.string() + " exists; the pictures go into a new folder");
    return path;
  }

  FilmShape shape_;
  DurableFolder folder_;
  std::int64_t count_ = 0;
};

}  // namespace

std::unique_ptr<FilmWriter> png_writer(const std::filesystem::path& folder,
                                       const FilmShape& shape) {
  return std::make_unique<PngWriter>(folder, shape);
}

#else

std::unique_ptr<FilmWriter> png_writer(const std::filesystem::path&, const FilmShape&) {
  throw DeviceUnavailable("--png: this build has no libpng (Debian: libpng-dev)");
}

#endif
}  // namespace lockstep::cli
