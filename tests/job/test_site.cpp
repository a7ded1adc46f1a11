#include "job/site.h"

#include "support/catch.h"
#include "support/paths.h"
#include "support/temporary_folder.h"

using namespace assize;
using Catch::Matchers::Contains;
using support::TemporaryFolder;

TEST_CASE("site: the commented example is read as it stands") {
  const job::Site site = job::load_site(support::source_dir() + "/configs/clusters/example.yaml");
  CHECK(site.name == "example");
  CHECK(site.gpus == 8);
  CHECK(site.time_limit_minutes == 24 * 60);
  CHECK(site.requeue);
}

TEST_CASE("site: every problem is named with its place") {
  const TemporaryFolder folder;
  folder.write("bad.yaml",
               "node: {cores: 0, memory_gib: 8}\npartition: \"a b\"\ntime_limit: soon\nlauncher: ssh\nscratch: here\n"
               "options: [\"--x\\n#SBATCH --y\"]\nenvironment: [\"1A=2\", \"A B\"]\nnodes: 3\n");
  try {
    job::load_site((folder.path() / "bad.yaml").string());
    FAIL("accepted");
  } catch (const std::exception& error) {
    const std::string text = error.what();
    for (const char* part : {"bad.yaml:1:", "'node.cores'", "'partition' is 'a b'", "'time_limit' is 'soon'", "srun, mpirun",
                             "'scratch' is 'here'", "'options'", "'1A=2'", "'A B'", "unknown key 'nodes'"}) {
      CHECK_THAT(text, Contains(part));
    }
  }
  CHECK_THROWS_WITH(job::load_site("nowhere"), Contains("there is no cluster 'nowhere'") && Contains("example"));
  CHECK_THROWS_WITH(job::load_site("no/where.yaml"), Contains("there is no such cluster file"));
}

TEST_CASE("site: times are read as Slurm reads them, rounded up to minutes") {
  CHECK(job::slurm_minutes("90") == 90);
  CHECK(job::slurm_minutes("1:30") == 2);
  CHECK(job::slurm_minutes("12:30:00") == 750);
  CHECK(job::slurm_minutes("2-00:00:00") == 2880);
  CHECK(job::slurm_minutes("1-6") == 1800);
  CHECK(job::slurm_minutes("1-06:30") == 1830);
  for (const char* text : {"", "0", "soon", "1:2:3:4", "-5", "1 h", "99999999999999999999"}) CHECK(job::slurm_minutes(text) == 0);
}
