#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>

#include "media/decoders.h"

namespace assize::media {

// Through the animation decoder also for still pictures, as Pillow does: one way, and the first frame of an
// animation is put on its canvas as there.
Image decode_webp(std::span<const std::byte> file, const std::string& where, const ImageLimits& limits,
                  DecodeDepth depth) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(file.data());
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(bytes, file.size(), &features) != VP8_STATUS_OK)
    throw_broken(where, "WebP", "bad header");
  Image image = checked_size(features.width, features.height, where, limits);
  if (depth == DecodeDepth::header) return image;

  WebPAnimDecoderOptions options;
  if (!WebPAnimDecoderOptionsInit(&options)) throw_broken(where, "WebP", "libwebpdemux of another version");
  options.color_mode = MODE_RGBA;
  const WebPData data{bytes, file.size()};
  const std::unique_ptr<WebPAnimDecoder, void (*)(WebPAnimDecoder*)> decoder(
      WebPAnimDecoderNew(&data, &options), WebPAnimDecoderDelete);
  if (!decoder) throw_broken(where, "WebP", "file is cut short or not valid");
  WebPAnimInfo info;
  if (!WebPAnimDecoderGetInfo(decoder.get(), &info) ||
      static_cast<int>(info.canvas_width) != image.width_px ||
      static_cast<int>(info.canvas_height) != image.height_px)
    throw_broken(where, "WebP", "canvas and header differ");
  std::uint8_t* rgba = nullptr;
  int timestamp = 0;
  if (!WebPAnimDecoderGetNext(decoder.get(), &rgba, &timestamp))
    throw_broken(where, "WebP", "data cannot be decoded");

  const std::size_t pixels = static_cast<std::size_t>(image.width_px) * image.height_px;
  image.rgb.resize(pixels * 3);
  for (std::size_t i = 0; i < pixels; ++i)
    for (std::size_t c = 0; c < 3; ++c) image.rgb[3 * i + c] = rgba[4 * i + c];
  return image;
}

}  // namespace assize::media
