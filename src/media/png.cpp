#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>

#include "media/decoders.h"

namespace assize::media {

namespace {

constexpr png_alloc_size_t max_chunk_bytes = std::size_t{64} << 20;  // of ancillary chunks, decompressed
constexpr int max_chunks = 1000;

/// libpng reports errors by a call that must not return, hence longjmp. Each method below sets the target
/// itself and holds no object with a destructor, so that no destructor is ever jumped over.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> file) : rest_(file) {}
  ~Reader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  bool read_header(int max_side_px) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, [](png_structp, png_const_charp) {});
    info_ = png_ ? png_create_info_struct(png_) : nullptr;
    if (!info_) return false;
    if (setjmp(jump_)) return false;
    png_set_user_limits(png_, static_cast<png_uint_32>(max_side_px), static_cast<png_uint_32>(max_side_px));
    png_set_chunk_malloc_max(png_, max_chunk_bytes);
    png_set_chunk_cache_max(png_, max_chunks);
    png_set_read_fn(png_, this, on_read);
    png_read_info(png_, info_);
    return true;
  }

  /// Asks for 8-bit RGB rows, or for the 16-bit samples of a 16-bit grey picture as stored.
  bool start() {
    if (setjmp(jump_)) return false;
    const int color = png_get_color_type(png_, info_);
    if (!is_grey16()) {
      // Palette entries, not their transparency; the high byte of 16; grey of few bits stretched to 0..255.
      if (color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
      if (color == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png_);
      png_set_strip_16(png_);
      png_set_strip_alpha(png_);
      if (!(color & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(png_);
    }
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  /// Reads the next row into `row`, or with a row of an interlaced picture: this pass's pixels of it.
  bool read_row(std::uint8_t* row) {
    if (setjmp(jump_)) return false;
    png_read_row(png_, row, nullptr);
    return true;
  }

  bool is_grey16() const {
    return png_get_color_type(png_, info_) == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png_, info_) == 16;
  }
  std::int64_t width_px() const { return png_get_image_width(png_, info_); }
  std::int64_t height_px() const { return png_get_image_height(png_, info_); }
  std::size_t row_bytes() const { return png_get_rowbytes(png_, info_); }
  int passes() const { return passes_; }
  const char* message() const { return message_; }

 private:
  static void on_error(png_structp png, png_const_charp reason) {
    auto* self = static_cast<Reader*>(png_get_error_ptr(png));
    std::snprintf(self->message_, sizeof self->message_, "%s", reason);
    std::longjmp(self->jump_, 1);
  }
  static void on_read(png_structp png, png_bytep out, png_size_t count) {
    auto* self = static_cast<Reader*>(png_get_io_ptr(png));
    if (count > self->rest_.size()) png_error(png, "file is cut short");
    std::memcpy(out, self->rest_.data(), count);
    self->rest_ = self->rest_.subspan(count);
  }

  std::span<const std::byte> rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  int passes_ = 1;
  std::jmp_buf jump_;
  char message_[256] = "libpng could not start";
};

}  // namespace

Image decode_png(std::span<const std::byte> file, const std::string& where, const ImageLimits& limits,
                 DecodeDepth depth) {
  Reader reader(file);
  if (!reader.read_header(limits.max_side_px)) throw_broken(where, "PNG", reader.message());
  Image image = checked_size(reader.width_px(), reader.height_px(), where, limits);
  if (depth == DecodeDepth::header) return image;
  if (!reader.start()) throw_broken(where, "PNG", reader.message());

  const std::size_t rgb_row_bytes = static_cast<std::size_t>(image.width_px) * 3;
  const bool is_grey16 = reader.is_grey16();
  if (reader.row_bytes() != (is_grey16 ? rgb_row_bytes / 3 * 2 : rgb_row_bytes))
    throw_broken(where, "PNG", "unexpected row size");
  image.rgb.resize(rgb_row_bytes * image.height_px);
  // 16-bit grey rows are read into the place of their RGB row, whose last two thirds they fill.
  const std::size_t offset = is_grey16 ? rgb_row_bytes / 3 : 0;
  for (int pass = 0; pass < reader.passes(); ++pass)
    for (int y = 0; y < image.height_px; ++y)
      if (!reader.read_row(image.row(y) + offset)) throw_broken(where, "PNG", reader.message());
  if (is_grey16) {
    for (int y = 0; y < image.height_px; ++y) {
      std::uint8_t* rgb = image.row(y);
      const std::uint8_t* samples =
          rgb + offset;  // big-endian; pixel x lies behind rgb + 3 x, so nothing is overwritten early
      for (int x = 0; x < image.width_px; ++x) {
        const std::uint8_t value =
            samples[2 * x] ? 255 : samples[2 * x + 1];  // Pillow clips, it does not scale
        rgb[3 * x] = rgb[3 * x + 1] = rgb[3 * x + 2] = value;
      }
    }
  }
  return image;
}

}  // namespace assize::media
