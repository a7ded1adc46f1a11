#include "app/scratch_output.h"

#include <cstdlib>
#include <string>
#include <system_error>

#include "base/error.h"

namespace assize::app {

namespace fs = std::filesystem;

ScratchOutput::ScratchOutput(job::JobSpec& job) {
  if (!job.workload || !job.workload->made_up || job.workload->images == 0) return;
  std::string name = (fs::temp_directory_path() / "assize-look-XXXXXX").string();
  if (!::mkdtemp(name.data())) throw base::Error(name + ": cannot be made; set TMPDIR to a folder with room", base::ErrorKind::failed);
  folder_ = name;
  job.output = folder_;
}

ScratchOutput::~ScratchOutput() {
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
}

}  // namespace assize::app
