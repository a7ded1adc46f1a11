#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace assize::text {

/// The byte alphabet of GPT-2: each byte has one printable character ("Ġ" is the blank), so that vocabularies
/// can spell any bytes. 33-126, 161-172 and 174-255 stand for themselves, the other 68 bytes for U+0100
/// onwards. Byte-level spelling of `bytes`.
std::string spell_bytes(std::string_view bytes);
/// The bytes that `spelling` stands for; none when it has a character outside of the alphabet.
std::optional<std::string> unspell_bytes(std::string_view spelling);

}  // namespace assize::text
