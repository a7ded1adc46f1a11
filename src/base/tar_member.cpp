#include "base/tar_member.h"

#include <charconv>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/error.h"

namespace assize::base {

namespace fs = std::filesystem;

namespace {

struct Place {
  std::uint64_t offset_bytes = 0, size_bytes = 0;
};
using Index = std::unordered_map<std::string, Place>;

Index read_index(const fs::path& archive) {
  const fs::path file = archive.string() + ".index";
  std::ifstream in(file);
  if (!in) throw Error(file.string() + ": cannot be read; an archive of media needs its index");
  const std::uint64_t end = fs::file_size(archive);
  Index index;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    Place place;
    const char *at = line.data(), *last = line.data() + line.size();
    for (std::uint64_t* value : {&place.offset_bytes, &place.size_bytes}) {
      const auto [next, code] = std::from_chars(at, last, *value);
      at = code == std::errc{} && next != last && *next == ' ' ? next + 1 : last;
    }
    if (at == last || place.offset_bytes > end || place.size_bytes > end - place.offset_bytes) {
      throw Error(file.string() + ":" + std::to_string(number) + ": is not 'OFFSET SIZE MEMBER' within the archive of " +
                  std::to_string(end) + " bytes");
    }
    index.emplace(std::string(at, last), place);
  }
  return index;
}

/// The archive's index, read at the first call.
const Index& index_of(const fs::path& archive) {
  static std::mutex mutex;
  static std::map<fs::path, Index> indices;  // references to map values stay valid
  const std::lock_guard lock(mutex);
  auto at = indices.find(archive);
  if (at == indices.end()) at = indices.emplace(archive, read_index(archive)).first;
  return at->second;
}

struct InArchive {
  fs::path archive;
  std::string member;
};

/// Splits a path behind the first part that is a tar file.
std::optional<InArchive> split(const fs::path& path) {
  if (path.string().find(".tar/") == std::string::npos) return {};
  fs::path archive;
  for (auto part = path.begin(); part != path.end(); ++part) {
    archive /= *part;
    std::error_code code;
    if (archive.extension() != ".tar" || !fs::is_regular_file(archive, code)) continue;
    fs::path member;
    for (++part; part != path.end(); ++part) member /= *part;
    return InArchive{archive, member.string()};
  }
  return {};
}

}  // namespace

std::optional<FileSlice> tar_member(const fs::path& path) {
  const auto place = split(path);
  if (!place) return {};
  const Index& index = index_of(place->archive);
  const auto at = index.find(place->member);
  if (at == index.end()) throw Error(path.string() + ": " + place->archive.string() + " has no member '" + place->member + "'");
  return FileSlice{place->archive, at->second.offset_bytes, at->second.size_bytes};
}

bool file_exists(const fs::path& path) {
  if (const auto place = split(path)) return index_of(place->archive).count(place->member) > 0;
  std::error_code code;
  return fs::is_regular_file(path, code);
}

}  // namespace assize::base
