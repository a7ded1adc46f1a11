#include "cli.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <string_view>

#include <boost/program_options.hpp>
#include <fmt/format.h>

#include "app/commands.h"
#include "base/error.h"
#include "job/reader.h"

namespace assize::cli {

namespace po = boost::program_options;

namespace {

struct CommandHelp {
  const char* name;
  const char* arguments;
  const char* what;
  const char* example;
};

constexpr CommandHelp kCommands[] = {
    {"run", "JOB.yaml", "Judge the suites of a job; run it again to resume.",
     "assize run jobs/quickstart.yaml --set judging.votes=5\n  mpirun -np 5 assize run jobs/quickstart.yaml"},
    {"check", "JOB.yaml", "Check a job, its data and its judge; show the plan and its cost; judge nothing.",
     "assize check jobs/quickstart.yaml"},
    {"prompt", "JOB.yaml", "Show what the judge is asked about one sample, in each order, with its tokens.",
     "assize prompt jobs/quickstart.yaml --suite shapes-pair --sample test-0001"},
    {"show", "RUN", "Show state, counts and metrics of a finished or unfinished run.", "assize show runs/quickstart --digest"},
    {"report", "RUN", "Read verdicts, metrics and report anew from the stored texts, without the judge.",
     "assize report runs/quickstart"},
    {"export", "RUN", "Write results.h5, and CSV or JSONL, of a finished, running or crashed run; the run is only read.",
     "assize export runs/quickstart --format csv --format jsonl --output tables"},
    {"verify", "RUN", "Check every record, key and hash of a run, and say what is whole.", "assize verify runs/quickstart"},
    {"generate", "JUDGE_FOLDER", "Generate texts for raw prompts: to try a judge or compare engines.",
     "assize generate configs/judges/shapes-judge --prompts prompts.jsonl --max-new-tokens 64"},
    {"submit", "JOB.yaml", "Write the batch script of a job for a Slurm cluster, and hand it to sbatch.",
     "assize submit jobs/quickstart.yaml --nodes 4 --cluster mine --dry-run"},
    {"watch", "RUN...", "Follow runs from a login node by their files only, until they are done.", "assize watch runs/quickstart"},
    {"merge", "OUT RUN...", "Make one run of the shards of a job.", "assize merge runs/big runs/big.shards/*"},
    {"agree", "TABLE", "Show how well verdicts of a .csv, .tsv or .jsonl table agree with people; no judge runs.",
     "assize agree votes.csv --protocol pair --human human --verdict judge --group topic"},
    {"compare", "A...", "Compare judges: run folders or tables, item by item, with each other and with people.",
     "assize compare runs/base runs/tuned\n  assize compare runs/flex-vl --expect figures.yaml\n"
     "  assize compare a.csv b.csv c.csv --protocol pair --human human --verdict judge --combine majority --panel panel.csv"},
    {"version", "", "Show versions of the program and its libraries, and what this machine has.", "assize version"},
};

constexpr const char* kExitCodes =
    "Exit codes: 0 done, 1 failed, 2 bad usage or bad job, 3 finished or stopped above a limit of failures,\n"
    "            4 a figure outside its band (compare --expect), 75 stopped before the end (run the same command to go on).\n";

void print_overview() {
  std::string text = "assize runs multimodal reasoning judges over benchmark suites.\n\nusage: assize COMMAND ...\n\n";
  for (const auto& command : kCommands) text += fmt::format("  {:<22}{}\n", fmt::format("{} {}", command.name, command.arguments), command.what);
  text += fmt::format("\nassize COMMAND --help shows options and an example.\n{}", kExitCodes);
  std::fputs(text.c_str(), stdout);
}

const CommandHelp& find_command(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& command : kCommands) {
    if (name == command.name) return command;
    names.emplace_back(command.name);
  }
  const std::string near = job::nearest(name, names);
  throw base::Error(fmt::format("unknown command '{}'; {}", name,
                                near.empty() ? fmt::format("commands: {}", fmt::join(names, ", "))
                                             : fmt::format("did you mean '{}'? (assize --help lists all)", near)));
}

using Columns = std::vector<std::string>;

void add_table_options(po::options_description& options, app::TableColumns& columns) {
  auto add = options.add_options();
  add("protocol", po::value(&columns.protocol), "what a table holds: pair, score, label or rank");
  add("human", po::value(&columns.human)->value_name("COLUMN"), "people's label: A, B or tie; A>B …; CDAB; a number");
  add("verdict", po::value<Columns>(&columns.verdicts)->value_name("COLUMN"), "the judge's verdict, in the same words (one column per vote: repeat it)");
  add("scores", po::value(&columns.scores)->value_name("COL,COL"), "instead of --verdict: the judge's score of each candidate");
  add("group", po::value(&columns.group)->value_name("COLUMN"), "sub-dataset, system …: figures per group and their mean");
  add("cluster", po::value(&columns.cluster)->value_name("COLUMN"), "items that repeat one prompt: intervals draw them together");
  add("annotator", po::value<Columns>(&columns.annotators)->value_name("COLUMN"), "labels of one annotator, for the human ceiling (repeatable)");
  add("systems", po::value(&columns.systems)->value_name("COL,COL"), "who made each of the two candidates: win rates, Bradley-Terry strengths");
  add("id", po::value(&columns.id)->value_name("COLUMN"), "id of the item; default: the column 'id', else the line");
  add("vote", po::value(&columns.vote)->value_name("COLUMN"), "one row per item and vote: which vote it is");
  add("order", po::value(&columns.order)->value_name("COLUMN"), "one row per item and order shown: AB or BA");
  add("rater", po::value(&columns.rater)->value_name("COLUMN"), "one row per item and annotator: whose --human it is");
  add("word", po::value<Columns>(&columns.words)->value_name("WORD=LABEL"), "what a word of the table means, as left=A (repeatable)");
  add("on-unreadable", po::value(&columns.on_unreadable)->default_value(columns.on_unreadable), "a missing verdict: exclude, wrong or tie");
}

template <class Options>
void add_statistics_options(po::options_description& options, Options& chosen) {
  auto add = options.add_options();
  add("resamples", po::value(&chosen.resamples)->default_value(chosen.resamples), "of the bootstrap intervals");
  add("seed", po::value(&chosen.seed)->default_value(chosen.seed), "of everything random");
  add("json", po::bool_switch(&chosen.json), "print JSON");
}

void add_options(po::options_description& options, Command& command) {
  auto& generate = command.generate;
  auto add = options.add_options();
  add("help,h", "show this help");
  if (command.name == "run" || command.name == "check" || command.name == "prompt" || command.name == "submit") {
    add("set", po::value(&command.settings), "KEY=VALUE: change a value of the job, for example judging.votes=5 (repeatable)");
  }
  if (command.name == "check") add("output", po::bool_switch(&command.only_output), "print only the folder of the run, for scripts");
  if (command.name == "run") add("fresh", po::bool_switch(&command.fresh), "set an existing run aside and start over");
  if (command.name == "run") add("retry", po::value(&command.retry), "judge again what is failed, truncated or unreadable (repeatable)");
  if (command.name == "prompt") {
    add("sample", po::value(&command.prompt.sample), "id of the sample; default: the first one");
    add("suite", po::value(&command.prompt.suite), "id of its suite, where several suites have the sample");
  }
  if (command.name == "show") add("digest", po::bool_switch(&command.digest), "print only the hash over everything but timings");
  if (command.name == "watch") add("once", po::bool_switch(&command.once), "say how the runs stand now and end");
  if (command.name == "submit") {
    auto& submit = command.submit;
    add("nodes", po::value(&submit.nodes)->default_value(submit.nodes), "nodes of a job");
    add("cluster", po::value(&submit.cluster), "NAME of configs/clusters/NAME.yaml, or a file (default: $ASSIZE_CLUSTER)");
    add("partition", po::value(&submit.partition), "in place of the cluster's");
    add("account", po::value(&submit.account), "in place of the cluster's");
    add("time", po::value(&submit.time), "time limit of a job, such as 12:00:00 (default: from the estimate)");
    add("workers", po::value(&submit.workers), "worker ranks a node (default: its GPUs, or one for every eight cores)");
    add("shards", po::value(&submit.shards), "share the samples out to an array of so many jobs");
    add("chain", po::value(&submit.chain), "so many jobs, each after the one before: where jobs may not be requeued");
    add("dry-run", po::bool_switch(&submit.dry_run), "only print the script");
  }
  if (command.name == "export") {
    add("format", po::value(&command.formats), "h5 (always written), csv or jsonl: one file a table (repeatable)");
    add("output", po::value(&command.output), "folder for the files; default: RUN-export");
  }
  if (command.name == "agree") {
    add_table_options(options, command.agree.columns);
    add("combine", po::value(&command.agree.columns.combine), "several votes: majority or mean");
    add_statistics_options(options, command.agree);
    add("report", po::value(&command.agree.report_folder)->value_name("FOLDER"), "also write report.html, report.md, metrics.json and metrics.csv");
  }
  if (command.name == "compare") {
    auto& compare = command.compare;
    add("expect", po::value(&compare.expect_file)->value_name("FILE"), "YAML of published figures with bands: accept or reject the first source");
    add("combine", po::value(&compare.combine), "also a panel of all judges: majority or mean of their verdicts");
    add("panel", po::value(&compare.panel_file)->value_name("FILE"), "write the panel's verdicts as CSV");
    add("items", po::value(&compare.items)->default_value(compare.items), "differing items to show");
    add("permutations", po::value(&compare.permutations)->default_value(compare.permutations), "of the permutation test");
    add_statistics_options(options, compare);
    add("text", po::value(&compare.text)->value_name("COLUMN"), "tables: what the judge wrote, shown where judges differ");
    add_table_options(options, compare.columns);
  }
  if (command.name == "generate") {
    add("prompts", po::value(&generate.prompts_file)->required(), "JSONL: {\"prompt\": text, \"images\": [paths]} a line");
    add("max-new-tokens", po::value(&generate.max_new_tokens)->default_value(generate.max_new_tokens), "tokens at most");
    add("temperature", po::value(&generate.temperature)->default_value(generate.temperature, "0"), "0 is greedy");
    add("top-p", po::value(&generate.top_p)->default_value(generate.top_p, "1"), "nucleus sampling");
    add("seed", po::value(&generate.seed)->default_value(generate.seed), "of the sampling noise");
    add("logprobs", po::value(&generate.logprobs)->default_value(generate.logprobs), "report the K most likely ids of each step");
    add("device", po::value(&generate.device)->default_value(generate.device), "auto, cpu, cuda or cuda-emulated");
    add("threads", po::value(&generate.threads)->default_value(generate.threads), "0: all cores");
    add("instruction-set", po::value(&generate.instruction_set), "avx2 or avx512; default: the best there is");
  }
}

}  // namespace

Command parse(int argc, char** argv) {
  Command command;
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  if (arguments.empty()) {
    print_overview();
    throw base::Error("a command is missing");
  }
  if (arguments[0] == "--help" || arguments[0] == "-h" || arguments[0] == "help") {
    print_overview();
    return command;
  }
  command.name = arguments[0] == "--version" ? "version" : arguments[0];
  const CommandHelp& help = find_command(command.name);
  po::options_description options("Options");
  add_options(options, command);
  po::options_description all;
  std::vector<std::string> targets;
  all.add(options).add_options()("target", po::value(&targets));
  po::positional_options_description positional;
  positional.add("target", -1);
  po::variables_map values;
  try {
    const auto parsed = po::command_line_parser(std::vector<std::string>(arguments.begin() + 1, arguments.end()))
                            .options(all).positional(positional).run();
    po::store(parsed, values);
    if (values.count("help")) {
      std::cout << "usage: assize " << help.name << " " << help.arguments << " [options]\n\n" << help.what << "\n\n"
                << options << "\nExample:\n  " << help.example << "\n\n" << kExitCodes;
      command.name.clear();
      return command;
    }
    po::notify(values);
  } catch (const po::error& error) {
    throw base::Error(fmt::format("{} (assize {} --help shows the options)", error.what(), help.name));
  }
  // "A B...": two or more.
  const std::string_view arguments_text = help.arguments;
  const bool any_number = arguments_text.ends_with("...");
  const std::size_t wanted = arguments_text.empty() ? 0 : 1 + static_cast<std::size_t>(std::count(arguments_text.begin(), arguments_text.end(), ' '));
  if (targets.size() < wanted || (targets.size() > wanted && !any_number)) {
    throw base::Error(wanted ? fmt::format("assize {} takes {}{}, for example: {}", help.name, wanted == 1 && !any_number ? "one " : "",
                                           help.arguments, help.example)
                             : fmt::format("assize {} takes no argument", help.name));
  }
  if (wanted) command.target = targets[0];
  command.targets = targets;
  command.prompt.settings = command.settings;
  command.compare.sources = targets;
  command.generate.judge_folder = command.agree.table = command.target;
  return command;
}

int run(const Command& command) {
  // The user's umask holds; only that everybody may write is never meant.
  ::umask(::umask(0) | S_IWOTH);
  if (command.name == "run") return app::run(command.target, command.settings, command.fresh, command.retry);
  if (command.name == "check") return app::check(command.target, command.settings, command.only_output);
  if (command.name == "prompt") return app::prompt(command.target, command.prompt);
  if (command.name == "show") return app::show(command.target, command.digest);
  if (command.name == "report") return app::report(command.target);
  if (command.name == "export") return app::export_run(command.target, command.formats, command.output);
  if (command.name == "verify") return app::verify(command.target);
  if (command.name == "submit") return app::submit(command.target, command.settings, command.submit);
  if (command.name == "watch") return app::watch(command.targets, command.once);
  if (command.name == "merge") return app::merge(command.target, {command.targets.begin() + 1, command.targets.end()});
  if (command.name == "generate") return app::generate(command.generate, std::cout);
  if (command.name == "agree") return app::agree(command.agree);
  if (command.name == "compare") return app::compare(command.compare);
  if (command.name == "version") return app::version();
  return 0;
}

}  // namespace assize::cli
