#include "report/items.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "report/page.h"
#include "report/text.h"

namespace assize::report {

const std::pair<Reason, const char*> kReasons[5] = {{kDisagrees, "disagrees with people"},
                                                    {kUnreadable, "unreadable"},
                                                    {kLongest, "longest"},
                                                    {kOrderFlips, "flips with the order"},
                                                    {kSampled, "others"}};

namespace {

constexpr std::size_t kMaxInside = 2000;
constexpr std::size_t kMaxInsideBytes = std::size_t{20} << 20;
constexpr std::size_t kMaxFileItems = 500;
constexpr std::size_t kMaxFileBytes = std::size_t{4} << 20;

void add_text(Page& page, const std::string& text, const char* css = "") {
  page.add("<div class=\"text {}\" dir=\"auto\">{}</div>", css, escaped(text));
}

bool is_picture_uri(const std::string& uri) {
  if (uri.rfind("data:", 0) == 0) return uri.rfind("data:image/", 0) == 0;
  return uri.find(':') == std::string::npos && uri.rfind("//", 0) != 0;
}

void add_images(Page& page, const std::vector<std::string>& images, const std::string& of) {
  for (const auto& image : images) {
    if (is_picture_uri(image)) page.add("<img alt=\"picture of {}\" loading=\"lazy\" src=\"{}\">", of, escaped(image));
  }
}

char letter(std::size_t candidate) { return static_cast<char>('A' + candidate % 26); }

void add_call(Page& page, const ItemCall& call) {
  std::string said = call.verdict.ok()
                         ? call.verdict.choice
                         : std::string(verdict::name(call.verdict.status)) + ": " + call.verdict.reason;
  if (call.verdict.ok() && call.verdict.choice.empty()) said = fmt::format("{:g}", call.verdict.value);
  if (call.verdict.ok() && call.verdict.scores.size() > 1) {
    said += " (";
    for (std::size_t i = 0; i < call.verdict.scores.size(); ++i)
      said += fmt::format("{}{:.4g}", i ? ", " : "", call.verdict.scores[i]);
    said += ")";
  }
  std::string shown;
  for (const auto candidate : call.presentation) shown += fmt::format("{}{}", shown.empty() ? "" : " ", letter(candidate));
  page.add("<h4>{}{}Vote {} · shown {} · <span class=\"{}\">{}</span> · {} tokens</h4>", escaped(call.criterion),
           call.criterion.empty() ? "" : " · ", call.vote + 1, shown, call.verdict.ok() ? "" : "miss", escaped(said),
           count_text(call.output_tokens));
  const std::size_t end = call.text.rfind("</think>");
  if (end == std::string::npos) return add_text(page, call.text);
  add_text(page, call.text.substr(0, end + 8), "think");
  const std::size_t answer = call.text.find_first_not_of("\r\n", end + 8);
  add_text(page, answer == std::string::npos ? "" : call.text.substr(answer));
}

void add_item(Page& page, const Item& item, bool with_suite) {
  std::string why;
  for (const auto& [reason, name] : kReasons) {
    if (item.reasons & reason) why += (why.empty() ? "" : ", ") + std::string(name);
  }
  page.add(
      "<details data-why=\"{}\"><summary><span class=\"id\">{}{}{}</span><span class=\"said\">people {} · "
      "judge <span class=\"{}\">{}</span></span>"
      "<span class=\"why\">{}</span></summary><div class=\"item\">",
      item.reasons, with_suite ? escaped(item.suite) : "", with_suite ? " / " : "", escaped(item.sample_id),
      escaped(item.human.empty() ? "–" : item.human), item.reasons & kDisagrees ? "miss" : "",
      escaped(item.verdict), why);
  if (!item.group.empty()) page.add("<p class=\"meta\">Group {}</p>", escaped(item.group));
  page.add("<h4>Question</h4>");
  add_text(page, item.question);
  add_images(page, item.images, "the question");
  page.add("<div class=\"candidates\">");
  for (std::size_t i = 0; i < item.candidates.size(); ++i) {
    page.add("<div><h4>Candidate {}</h4>", letter(i));
    if (!item.candidates[i].text.empty()) add_text(page, item.candidates[i].text);
    add_images(page, item.candidates[i].images, fmt::format("candidate {}", letter(i)));
    page.add("</div>");
  }
  page.add("</div>");
  for (const auto& call : item.calls) add_call(page, call);
  page.add("</div></details>");
}

/// Items on their way into the files beside the page.
class ItemFiles {
 public:
  explicit ItemFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  void add(const std::string& html) {
    items_.push_back(html);
    bytes_ += html.size();
    if (items_.size() >= kMaxFileItems || bytes_ >= kMaxFileBytes) flush();
  }

  /// Writes what is left; the number of files.
  std::size_t finish() {
    if (!items_.empty()) flush();
    return files_;
  }

 private:
  // A script that hands the items to the page: of a page opened from a disk, a browser loads nothing else.
  void flush() {
    const nlohmann::json list(std::exchange(items_, {}));
    bytes_ = 0;
    std::filesystem::create_directories(folder_);
    base::write_file_atomically(folder_ / fmt::format("{:05}.js", files_++),
                                "assizeItems(" + list.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + ");\n");
  }

  std::filesystem::path folder_;
  std::vector<std::string> items_;
  std::size_t bytes_ = 0, files_ = 0;
};

std::string item_html(const Item& item, bool with_suite) {
  Page page;
  add_item(page, item, with_suite);
  return std::move(page.out);
}

}  // namespace

ItemPages lay_out_items(const ReportData& data, const std::filesystem::path& folder) {
  ItemPages pages;
  const bool with_suite = data.suites.size() > 1;
  std::size_t next = 0;
  for (; next < data.items.count && next < kMaxInside; ++next) {
    const std::string html = item_html(data.items.item(next, Pictures::inlined), with_suite);
    if (pages.inside.size() + html.size() > kMaxInsideBytes) break;
    pages.inside += html;
    ++pages.inside_count;
  }
  if (folder.empty()) return pages;
  std::filesystem::remove_all(folder / kItemFolder);
  ItemFiles files(folder / kItemFolder);
  for (; next < data.items.count; ++next) files.add(item_html(data.items.item(next, Pictures::linked), with_suite));
  pages.files = files.finish();
  return pages;
}

}  // namespace assize::report
