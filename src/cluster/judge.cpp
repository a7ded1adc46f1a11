#include "cluster/judge.h"

namespace assize::cluster {

results::Judgement failed_judgement(const WorkItem& item, const WorkCall& call, const std::string& reason) {
  results::Judgement judgement;
  judgement.key = call.key;
  judgement.asked = item.prompts.at(call.prompt).asked;
  judgement.status = results::Status::failed;
  judgement.error = reason;
  return judgement;
}

}  // namespace assize::cluster
