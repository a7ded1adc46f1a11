#include "base/bytes.h"

namespace assize::base {

ByteWriter& ByteWriter::append(const void* data, std::size_t size) {
  const std::size_t before = bytes_.size();
  bytes_.resize(before + size);
  if (size) std::memcpy(bytes_.data() + before, data, size);
  return *this;
}

}  // namespace assize::base
