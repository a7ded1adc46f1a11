// The journal reader on arbitrary bytes: it may refuse them with an Error and must do nothing worse.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/error.h"
#include "results/frames.h"
#include "results/journal.h"
#include "results/journal_scan.h"
#include "results/judgement_bytes.h"

using namespace assize;

namespace {

const std::filesystem::path& run_folder() {
  static const std::filesystem::path folder = [] {
    const char* memory = std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp";
    std::string name = std::string(memory) + "/assize-fuzz-XXXXXX";
    if (!::mkdtemp(name.data())) std::abort();
    std::filesystem::create_directories(name + "/journal");
    std::atexit([] { std::filesystem::remove_all(run_folder()); });
    return std::filesystem::path(name);
  }();
  return folder;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  try {
    // The bytes as they are, as one judgement, and as the payload of a whole frame.
    results::judgement_from(bytes);
  } catch (const base::Error&) {
  }
  const std::string identity = "model: fuzz\n";
  std::vector<std::byte> file;
  if (size > 0 && data[0] % 2) {
    const std::uint32_t version = 1 + data[0] / 8 % 2;
    results::append_frame(file, results::FrameType::header,
                          results::to_bytes(results::JournalHeader{version, 0, identity}), 0);
    const auto type = static_cast<results::FrameType>(1 + data[0] / 2 % 4);
    results::append_frame(file, type, bytes.subspan(1), results::frame_seed(identity, version));
  }
  file.insert(file.end(), bytes.begin(), bytes.end());
  std::ofstream(results::segment_path(run_folder(), 0), std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
  try {
    results::scan_journal(run_folder(), [](results::Judgement&&) {});
  } catch (const base::Error&) {
  }
  return 0;
}
