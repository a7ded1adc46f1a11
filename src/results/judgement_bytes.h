#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "results/judgement.h"

namespace assize::results {

/// Appends a call key; `get_key` reads it back.
void put_key(base::ByteWriter& out, const base::CallKey& key);
base::CallKey get_key(base::ByteReader& in);

/// A judgement as bytes, with a version of its own in front: the payload of journal records and messages.
std::vector<std::byte> to_bytes(const Judgement& judgement);

/// Reads what `to_bytes` wrote. Throws Error when the bytes are cut short, too long or of an unknown version.
Judgement judgement_from(std::span<const std::byte> bytes);

}  // namespace assize::results
