#include <array>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "report/items.h"

namespace assize::report {
namespace {

const char* picture_type(std::string_view bytes) {
  if (bytes.substr(0, 8) == "\x89PNG\r\n\x1A\n") return "image/png";
  if (bytes.substr(0, 3) == "\xFF\xD8\xFF") return "image/jpeg";
  if (bytes.substr(0, 4) == "RIFF" && bytes.size() > 12 && bytes.substr(8, 4) == "WEBP") return "image/webp";
  if (bytes.substr(0, 4) == "GIF8") return "image/gif";
  return nullptr;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j)
      out += i + j <= bytes.size() ? kDigits[group >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

}  // namespace

void write_report(const std::filesystem::path& folder, const ReportData& data) {
  base::write_file_atomically(folder / "metrics.json", metrics_json(data));
  base::write_file_atomically(folder / "metrics.csv", metrics_csv(data));
  base::write_file_atomically(folder / "report.md", markdown(data));
  base::write_file_atomically(folder / "report.html", html(data, lay_out_items(data, folder)));
}

std::string image_uri(const std::filesystem::path& path, std::uintmax_t limit_bytes) {
  try {
    const std::string bytes = base::read_file(path, limit_bytes);
    const char* type = picture_type(bytes);
    return type ? std::string("data:") + type + ";base64," + base64(bytes) : std::string();
  } catch (const base::Error&) {
    return {};  // a picture that is gone or too large is shown as missing; the judgement itself is in the results
  }
}

std::string image_link(const std::filesystem::path& path, const std::filesystem::path& folder) {
  const std::string relative = std::filesystem::absolute(path).lexically_proximate(std::filesystem::absolute(folder)).generic_string();
  std::string out;
  for (const char c : relative) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("-._~/").find(c) != std::string_view::npos;
    constexpr std::string_view kHex = "0123456789ABCDEF";
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

}  // namespace assize::report
