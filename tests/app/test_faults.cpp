#include "app/faults.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

using namespace assize;
using app::groups_to_leave_out;
using app::record_fault;

TEST_CASE("a group is left out once it is named in two launches, not for two events of one") {
  support::TemporaryFolder run;
  CHECK(groups_to_leave_out(run.path()).empty());
  run.write("lock", "host n1, process 7, since then, 1\nbeat 3\n");
  record_fault(run.path(), "n3, group 2", "gives no sign of life");
  record_fault(run.path(), "n3, group 2", "hangs");
  record_fault(run.path(), "n4, group 3", "says \"no\"\n");
  run.write("faults.jsonl.other", "");
  CHECK(groups_to_leave_out(run.path()).empty());
  run.write("lock", "host n1, process 9, since later, 2\nbeat 0\n");
  record_fault(run.path(), "n3, group 2", "gives no sign of life");
  CHECK(groups_to_leave_out(run.path()) == std::set<std::string>{"n3, group 2"});
}

TEST_CASE("lines that a crash cut are skipped") {
  support::TemporaryFolder run;
  run.write("faults.jsonl", "{\"launch\": \"a\", \"group\": \"g\"}\n{\"launch\": \"b\", \"gro\n[]\n{\"launch\": 3, \"group\": \"g\"}\n"
                            "{\"launch\": \"c\", \"group\": \"g\"}");
  CHECK(groups_to_leave_out(run.path()) == std::set<std::string>{"g"});
}
