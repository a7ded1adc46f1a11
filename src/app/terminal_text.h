#pragma once

#include <string>

namespace assize::app {

/// `text` on one line, whoever wrote it: a '?' for each control character, line ends too, which a terminal would obey
/// and a script take as its next line.
std::string harmless(std::string text);

}  // namespace assize::app
