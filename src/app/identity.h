#pragma once

#include <string>
#include <string_view>

#include "job/job_spec.h"

namespace assize::app {

/// What the generations of a job depend on, beside what each call asks (Judgement::asked): "key: value" lines
/// for the journal. Reads the judge's whole checkpoint for its hash.
std::string identity_text(const job::JobSpec& job);

/// The value of a key in such a text; empty if it is not there.
std::string identity_value(std::string_view identity, std::string_view key);

/// Version of this program.
std::string code_version();

}  // namespace assize::app
