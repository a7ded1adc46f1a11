// jpeglib.h uses size_t and FILE without including them: the order matters.
// clang-format off
#include <cstddef>
#include <cstdio>
#include <jpeglib.h>
// clang-format on

#include <csetjmp>
#include <cstring>

#include "media/decoders.h"

namespace assize::media {

namespace {

/// A progressive picture needs about ten scans; each one costs a pass over all coefficients, so that a small
/// hostile file with thousands could run for hours.
constexpr int max_scans = 500;

/// libjpeg reports errors by a call that must not return, hence longjmp. Each method below sets the target
/// itself and holds no object with a destructor, so that no destructor is ever jumped over.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> file) {
    std::memset(&info_, 0, sizeof info_);
    info_.err = jpeg_std_error(&errors_);
    info_.client_data = this;
    errors_.error_exit = [](j_common_ptr info) {
      auto* self = static_cast<Reader*>(info->client_data);
      info->err->format_message(info, self->message_);
      std::longjmp(self->jump_, 1);
    };
    errors_.emit_message = [](j_common_ptr, int) {};  // as Pillow: warnings do not count
    source_.next_input_byte = reinterpret_cast<const JOCTET*>(file.data());
    source_.bytes_in_buffer = file.size();
    source_.init_source = source_.term_source = [](j_decompress_ptr) {};
    source_.resync_to_restart = jpeg_resync_to_restart;
    source_.fill_input_buffer = [](j_decompress_ptr info) -> boolean {
      static_cast<Reader*>(info->client_data)->fail("file is cut short");
      return FALSE;
    };
    source_.skip_input_data = [](j_decompress_ptr info, long count) {
      if (count <= 0) return;
      if (static_cast<std::size_t>(count) > info->src->bytes_in_buffer)
        static_cast<Reader*>(info->client_data)->fail("file is cut short");
      info->src->next_input_byte += count;
      info->src->bytes_in_buffer -= static_cast<std::size_t>(count);
    };
    progress_.progress_monitor = [](j_common_ptr info) {
      if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > max_scans)
        static_cast<Reader*>(info->client_data)->fail("too many scans");
    };
  }
  ~Reader() { jpeg_destroy_decompress(&info_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  bool read_header() {
    if (setjmp(jump_)) return false;
    jpeg_create_decompress(&info_);
    info_.src = &source_;
    info_.progress = &progress_;
    jpeg_read_header(&info_, TRUE);
    return true;
  }

  /// Begins decoding with the colour space that Pillow asks for: grey, RGB or CMYK.
  bool start() {
    if (setjmp(jump_)) return false;
    switch (info_.num_components) {
      case 1:
        info_.out_color_space = JCS_GRAYSCALE;
        break;
      case 3:
        info_.out_color_space = JCS_RGB;
        break;
      case 4:
        info_.out_color_space = JCS_CMYK;
        break;
      default:
        fail("neither 1, 3 nor 4 colour components");
    }
    info_.dct_method = JDCT_ISLOW;
    info_.do_fancy_upsampling = TRUE;
    jpeg_start_decompress(&info_);
    return true;
  }

  /// The next row, [width, components()] bytes.
  bool read_row(std::uint8_t* row) {
    if (setjmp(jump_)) return false;
    if (jpeg_read_scanlines(&info_, &row, 1) != 1) fail("file is cut short");
    return true;
  }

  std::int64_t width_px() const { return info_.image_width; }
  std::int64_t height_px() const { return info_.image_height; }
  int components() const { return info_.output_components; }
  const char* message() const { return message_; }

 private:
  [[noreturn]] void fail(const char* reason) {
    std::snprintf(message_, sizeof message_, "%s", reason);
    std::longjmp(jump_, 1);
  }

  jpeg_decompress_struct info_;
  jpeg_error_mgr errors_{};
  jpeg_source_mgr source_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_;
  char message_[JMSG_LENGTH_MAX] = "";
};

/// a * b / 255, rounded, as Pillow's MULDIV255 does it in integers.
int multiply_bytes(int a, int b) {
  const int product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

/// Pillow takes every four-component JPEG as Adobe's inverted CMYK.
void inverted_cmyk_to_rgb(const std::uint8_t* cmyk, int width_px, std::uint8_t* rgb) {
  for (int x = 0; x < width_px; ++x, cmyk += 4, rgb += 3) {
    const int not_black = cmyk[3];
    for (int c = 0; c < 3; ++c) {
      const int value = not_black - multiply_bytes(255 - cmyk[c], not_black);
      rgb[c] = static_cast<std::uint8_t>(value < 0 ? 0 : value);
    }
  }
}

}  // namespace

Image decode_jpeg(std::span<const std::byte> file, const std::string& where, const ImageLimits& limits,
                  DecodeDepth depth) {
  Reader reader(file);
  if (!reader.read_header()) throw_broken(where, "JPEG", reader.message());
  Image image = checked_size(reader.width_px(), reader.height_px(), where, limits);
  if (depth == DecodeDepth::header) return image;
  if (!reader.start()) throw_broken(where, "JPEG", reader.message());

  const int width = image.width_px, components = reader.components();
  image.rgb.resize(static_cast<std::size_t>(width) * image.height_px * 3);
  std::vector<std::uint8_t> row(components == 3 ? 0 : static_cast<std::size_t>(width) * components);
  for (int y = 0; y < image.height_px; ++y) {
    std::uint8_t* rgb = image.row(y);
    if (!reader.read_row(components == 3 ? rgb : row.data())) throw_broken(where, "JPEG", reader.message());
    if (components == 4) inverted_cmyk_to_rgb(row.data(), width, rgb);
    if (components == 1)
      for (int x = 0; x < width; ++x) rgb[3 * x] = rgb[3 * x + 1] = rgb[3 * x + 2] = row[x];
  }
  return image;
}

}  // namespace assize::media
