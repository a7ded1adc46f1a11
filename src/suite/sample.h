#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace assize::suite {

/// A kind of media that a prompt can show. A molecule is a JSON file with `smiles`, `atoms`, `coordinates`.
enum class MediaKind : std::uint8_t { image, video, audio, molecule };

/// A medium that is no picture.
struct OtherMedium {
  MediaKind kind;
  std::string path;  ///< absolute
};

/// One answer to be judged: text, media, or both.
struct Candidate {
  std::string text;
  std::vector<std::string> images;  ///< absolute paths
  std::vector<OtherMedium> other = {};
};

/// One labelled item of a suite.
struct Sample {
  std::string id;                     ///< unique in the suite
  std::string question;
  std::vector<std::string> images;    ///< of the question, absolute paths
  std::vector<OtherMedium> other;     ///< of the question
  std::map<std::string, std::string> fields;  ///< further texts that a prompt may show: name, text
  std::vector<Candidate> candidates;
  /// People's label in the protocol's form: "A", "B", "tie"; "A>B" …; "CDAB"; a number as text for score.
  /// Empty where there is none.
  std::string human;
  std::vector<std::pair<std::string, std::string>> annotators;  ///< further annotators: name, label
  std::string group;                  ///< sub-data set; may be empty
  std::string cluster;                ///< samples of one cluster are resampled together; default: the id
  int line = 0;                       ///< in samples.jsonl, 1-based
  std::uint32_t row = 0;              ///< place among the samples of the file, 0-based
};

}  // namespace assize::suite
