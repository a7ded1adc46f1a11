#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace assize::results {

/// What a frame of the journal holds.
enum class FrameType : std::uint32_t {
  header = 1,     ///< first frame of a segment: JournalHeader
  epoch = 2,      ///< u32: a writer started; its judgements follow
  judgement = 3,  ///< judgement_bytes.h
  retraction = 4, ///< calls whose judgements before this frame no longer stand (journal version 2)
};

/// Frame: u32 sync word, u32 type, u32 payload bytes, u64 XXH3 of the payload (seeded with type, size and
/// `seed`), payload. Little-endian, not aligned.
inline constexpr std::uint32_t kFrameSync = 0x4A5A5341;  // "ASZJ"
inline constexpr std::size_t kFrameHeaderBytes = 20;
inline constexpr std::uint32_t kFrameLimitBytes = 1u << 28;

/// Appends one frame to `out`. Throws Error when the payload is larger than kFrameLimitBytes.
void append_frame(std::vector<std::byte>& out, FrameType type, std::span<const std::byte> payload, std::uint64_t seed);

/// Reads the frames of one file, as large as it is when opened. A damaged stretch with whole frames behind it is
/// skipped and counted; damaged bytes with nothing whole behind them are the torn tail.
class FrameReader {
 public:
  /// Reads at least `read_bytes` at once: much for a scan, little for frames here and there. Throws Error when the file
  /// cannot be opened.
  explicit FrameReader(const std::filesystem::path& path, std::size_t read_bytes = std::size_t{4} << 20);
  ~FrameReader();
  FrameReader(const FrameReader&) = delete;
  FrameReader& operator=(const FrameReader&) = delete;

  struct Frame {
    FrameType type;
    std::span<const std::byte> payload;  ///< valid until the next call
  };
  /// The frame that begins at `offset`; false if there is no whole one.
  bool frame_at(std::uint64_t offset, Frame& frame, std::uint64_t seed);
  /// The next whole frame, checked with `seed`. False at the end.
  bool next(Frame& frame, std::uint64_t seed);

  std::uint64_t file_bytes() const { return file_bytes_; }
  std::uint64_t position() const { return position_; }  ///< just behind the last whole frame
  std::uint64_t damaged_bytes() const { return damaged_bytes_; }

 private:
  const std::byte* ensure(std::uint64_t offset, std::size_t bytes);

  std::string name_;
  std::size_t read_bytes_;
  int fd_ = -1;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t position_ = 0;
  std::uint64_t damaged_bytes_ = 0;
  std::vector<std::byte> window_;
  std::uint64_t window_begin_ = 0;
};

}  // namespace assize::results
