#pragma once

namespace assize::report {

/// The style sheet of the page.
extern const char* const kStyle;
/// The script of the item browser: filter by reason, search; the page is complete without it.
extern const char* const kScript;

}  // namespace assize::report
