#pragma once

#include "media/image.h"

namespace assize::media {

/// Which library's bicubic arithmetic a resize reproduces bit by bit. Both are separable, horizontal first,
/// antialiased, with the Keys kernel a = -0.5 and a uint8 intermediate; they differ in the integer weights.
enum class ResizeArithmetic {
  pillow,             ///< Pillow 10 to 12: weights of 22 fraction bits (the slow image processors). Pillow 13
                      ///< goes vertically first where the height shrinks much more than the width
  torchvision_uint8,  ///< torch >= 2.1 on uint8 CPU tensors: 16-bit weights (the fast image processors)
};

/// `image` at the new size (both sides >= 1); a copy if the size is unchanged. Throws Error on an empty image
/// or a size < 1.
Image resize_bicubic(const Image& image, ImageSize size,
                     ResizeArithmetic arithmetic = ResizeArithmetic::pillow);

}  // namespace assize::media
