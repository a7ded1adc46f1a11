#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>

#include "report/report.h"

namespace assize::report {

/// The reasons in the order of the page's filter, with their names.
extern const std::pair<Reason, const char*> kReasons[5];

/// Folder beside report.html with the items that are not inside it.
inline constexpr const char* kItemFolder = "report-data";

/// The item browser: the first items inside the page, the others in files.
struct ItemPages {
  std::string inside;  ///< HTML
  std::size_t inside_count = 0;
  std::size_t files = 0;  ///< scripts 00000.js … that call assizeItems([HTML of an item, …])
};

/// Takes items until there are 2,000 or 20 MiB of them inside, and writes the others below `folder`, replacing what was
/// there; with an empty `folder` they are left out. One item at a time is in memory besides those inside.
ItemPages lay_out_items(const ReportData& data, const std::filesystem::path& folder);

/// The page with its items. One self-contained file: no network, light and dark, readable on paper.
std::string html(const ReportData& data, const ItemPages& pages);

}  // namespace assize::report
