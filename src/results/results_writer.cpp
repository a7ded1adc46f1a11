#include "results/results_writer.h"

#include <fcntl.h>
#include <libdeflate.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <new>
#include <thread>

#include "base/ids.h"
#include "results/h5.h"
#include "results/schema.h"

namespace assize::results {

namespace {

using base::Error;
using base::ErrorKind;

constexpr hsize_t kChunkRows = 8192;
constexpr std::size_t kChunkBytes = std::size_t{64} << 10;
constexpr unsigned kDeflateLevel = 1;
constexpr std::size_t kChunksAtATime = 16;

void put_attribute(hid_t object, const char* name, const std::string& value) {
  h5::Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "attribute type");
  h5::check(H5Tset_size(type.get(), value.size() + 1), "attribute type");
  h5::check(H5Tset_cset(type.get(), H5T_CSET_UTF8), "attribute type");
  h5::Handle space(H5Screate(H5S_SCALAR), H5Sclose, "attribute space");
  h5::Handle attribute(H5Acreate2(object, name, type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose, name);
  h5::check(H5Awrite(attribute.get(), type.get(), value.c_str()), name);
}

void put_attribute(hid_t object, const char* name, std::uint64_t value) {
  h5::Handle space(H5Screate(H5S_SCALAR), H5Sclose, "attribute space");
  h5::Handle attribute(H5Acreate2(object, name, H5T_STD_U64LE, space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose, name);
  h5::check(H5Awrite(attribute.get(), H5T_NATIVE_UINT64, &value), name);
}

/// One dataset that grows by whole chunks.
class Dataset {
 public:
  Dataset(hid_t group, const std::string& name, hid_t type, const char* meaning, const std::string& file)
      : what_(file + ": /" + name), type_(type), element_bytes_(H5Tget_size(type)) {
    const hsize_t zero = 0;
    const hsize_t unlimited = H5S_UNLIMITED;
    chunk_ = element_bytes_ == 1 ? kChunkBytes : kChunkRows;
    h5::Handle space(H5Screate_simple(1, &zero, &unlimited), H5Sclose, what_);
    h5::Handle list(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, what_);
    h5::check(H5Pset_chunk(list.get(), 1, &chunk_), what_);
    h5::check(H5Pset_shuffle(list.get()), what_);
    h5::check(H5Pset_deflate(list.get(), kDeflateLevel), what_);
    set_ = h5::Handle(H5Dcreate2(group, name.c_str(), type, space.get(), H5P_DEFAULT, list.get(), H5P_DEFAULT),
                      H5Dclose, what_);
    put_attribute(set_.get(), "meaning", std::string(meaning));
  }

  void append(const void* data, std::size_t count) {
    const auto* from = static_cast<const std::byte*>(data);
    buffer_.insert(buffer_.end(), from, from + count * element_bytes_);
    if (buffer_.size() < chunk_ * element_bytes_) return;
    if (element_bytes_ == 1) {
      deflate_whole_batches();
    } else {
      write(buffer_.size() / element_bytes_ / chunk_ * chunk_);
    }
  }
  void finish() {
    if (element_bytes_ == 1) put_deflated(0);
    write(buffer_.size() / element_bytes_);
  }

 private:
  /// Text is nearly all there is to deflate: other threads do it, several chunks at a time, and the chunks are put in
  /// place as they are.
  void deflate_whole_batches() {
    const std::size_t batch = kChunksAtATime * chunk_;
    std::size_t done = 0;
    for (; buffer_.size() - done >= batch; done += batch) {
      put_deflated(max_deflating() - 1);
      const auto begin = buffer_.begin() + static_cast<long>(done);
      deflating_.push_back(std::async(std::launch::async, deflated, std::vector<std::byte>(begin, begin + static_cast<long>(batch)),
                                      static_cast<std::size_t>(chunk_)));
    }
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<long>(done));
  }

  static std::size_t max_deflating() { return std::max(2u, std::thread::hardware_concurrency()); }

  /// The chunks of `batch`, each deflated.
  static std::vector<std::vector<std::byte>> deflated(const std::vector<std::byte>& batch, std::size_t chunk) {
    const std::unique_ptr<libdeflate_compressor, void (*)(libdeflate_compressor*)> compressor(
        libdeflate_alloc_compressor(kDeflateLevel), libdeflate_free_compressor);
    if (!compressor) throw std::bad_alloc();
    std::vector<std::byte> out(libdeflate_zlib_compress_bound(compressor.get(), chunk));
    std::vector<std::vector<std::byte>> chunks;
    for (std::size_t at = 0; at < batch.size(); at += chunk) {
      const std::size_t size = libdeflate_zlib_compress(compressor.get(), batch.data() + at, chunk, out.data(), out.size());
      chunks.emplace_back(out.begin(), out.begin() + static_cast<long>(size));
    }
    return chunks;
  }

  /// Puts batches in place, the oldest first, until `left` are still being deflated.
  void put_deflated(std::size_t left) {
    for (; deflating_.size() > left; deflating_.pop_front()) {
      for (const std::vector<std::byte>& chunk : deflating_.front().get()) {
        const hsize_t size = written_ + chunk_;
        h5::check(H5Dset_extent(set_.get(), &size), what_);
        if (H5Dwrite_chunk(set_.get(), H5P_DEFAULT, 0, &written_, chunk.size(), chunk.data()) < 0) cannot_write();
        written_ = size;
      }
    }
  }

  [[noreturn]] void cannot_write() const { throw Error(what_ + ": cannot be written; is the disk full?", ErrorKind::failed); }

  void write(hsize_t count) {
    if (count == 0) return;
    const hsize_t size = written_ + count;
    h5::check(H5Dset_extent(set_.get(), &size), what_);
    h5::Handle space(H5Dget_space(set_.get()), H5Sclose, what_);
    h5::check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, &written_, nullptr, &count, nullptr), what_);
    h5::Handle memory(H5Screate_simple(1, &count, nullptr), H5Sclose, what_);
    if (H5Dwrite(set_.get(), type_, memory.get(), space.get(), H5P_DEFAULT, buffer_.data()) < 0) cannot_write();
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<long>(count * element_bytes_));
    written_ = size;
  }

  std::string what_;
  hid_t type_;
  std::size_t element_bytes_;
  hsize_t chunk_ = 0;
  hsize_t written_ = 0;
  std::vector<std::byte> buffer_;
  std::deque<std::future<std::vector<std::vector<std::byte>>>> deflating_;  ///< batches of chunks from written_ on
  h5::Handle set_;
};

struct Element {
  hid_t file_type;
  bool several;  ///< text and ragged: values and ends
};

Element element_of(ColumnType type) {
  switch (type) {
    case ColumnType::u8: return {H5T_STD_U8LE, false};
    case ColumnType::u16: return {H5T_STD_U16LE, false};
    case ColumnType::u32: return {H5T_STD_U32LE, false};
    case ColumnType::u64: return {H5T_STD_U64LE, false};
    case ColumnType::i32: return {H5T_STD_I32LE, false};
    case ColumnType::i64: return {H5T_STD_I64LE, false};
    case ColumnType::f64: return {H5T_IEEE_F64LE, false};
    case ColumnType::text: return {H5T_STD_U8LE, true};
    case ColumnType::ragged_i32: return {H5T_STD_I32LE, true};
    case ColumnType::ragged_f32: return {H5T_IEEE_F32LE, true};
    case ColumnType::ragged_f64: return {H5T_IEEE_F64LE, true};
  }
  return {};
}

template <class T>
constexpr ColumnType kTypeOf = ColumnType::u8;
template <>
constexpr ColumnType kTypeOf<std::uint16_t> = ColumnType::u16;
template <>
constexpr ColumnType kTypeOf<std::uint32_t> = ColumnType::u32;
template <>
constexpr ColumnType kTypeOf<std::uint64_t> = ColumnType::u64;
template <>
constexpr ColumnType kTypeOf<std::int32_t> = ColumnType::i32;
template <>
constexpr ColumnType kTypeOf<std::int64_t> = ColumnType::i64;
template <>
constexpr ColumnType kTypeOf<double> = ColumnType::f64;
template <>
constexpr ColumnType kTypeOf<std::string> = ColumnType::text;
template <>
constexpr ColumnType kTypeOf<std::vector<std::int32_t>> = ColumnType::ragged_i32;
template <>
constexpr ColumnType kTypeOf<std::vector<float>> = ColumnType::ragged_f32;
template <>
constexpr ColumnType kTypeOf<std::vector<double>> = ColumnType::ragged_f64;

/// One table of the schema. A row is written value by value in the order of its columns.
class Table {
 public:
  Table(hid_t file, const char* name, const std::string& path)
      : columns_(columns_of(name)),
        group_(H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose, path + ": /" + name) {
    for (const Column& column : columns_) {
      const Element element = element_of(column.type);
      sets_.emplace_back(group_.get(), column.name, element.file_type, column.meaning, path);
      if (element.several) {
        const std::string name_of_ends = std::string(column.name) + "_end";
        ends_.try_emplace(sets_.size() - 1, group_.get(), name_of_ends, H5T_STD_I64LE,
                          "end of each row in the dataset without _end", path);
      }
    }
    sizes_.resize(sets_.size());
  }

  template <class T>
  Table& put(const T& value) {
    if (next_ >= columns_.size() || columns_[next_].type != kTypeOf<T>) {
      throw std::logic_error("a row does not follow the schema of results.h5");
    }
    if constexpr (std::is_arithmetic_v<T>) {
      sets_[next_].append(&value, 1);
    } else {
      sets_[next_].append(value.data(), value.size());
      sizes_[next_] += static_cast<std::int64_t>(value.size());
      ends_.at(next_).append(&sizes_[next_], 1);
    }
    ++next_;
    return *this;
  }
  void end_row() {
    if (next_ != columns_.size()) throw std::logic_error("a row does not follow the schema of results.h5");
    next_ = 0;
    ++rows_;
  }
  std::int64_t rows() const { return rows_; }
  void finish() {
    for (Dataset& set : sets_) set.finish();
    for (auto& [column, set] : ends_) set.finish();
    put_attribute(group_.get(), "rows", static_cast<std::uint64_t>(rows_));
    sets_.clear();
    ends_.clear();
    group_.close("table");
  }

 private:
  std::span<const Column> columns_;
  h5::Handle group_;
  std::vector<Dataset> sets_;
  std::map<std::size_t, Dataset> ends_;
  std::vector<std::int64_t> sizes_;
  std::size_t next_ = 0;
  std::int64_t rows_ = 0;
};

h5::Handle create_file(const std::string& path) {
  h5::quiet();
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, h5::file_access().get());
  if (file < 0) throw Error(path + ": cannot be made; is the folder writable?", ErrorKind::failed);
  return {file, H5Fclose, path};
}

}  // namespace

struct ResultsWriter::State {
  State(const std::filesystem::path& target, const FileInfo& info)
      : path(target.string()), temporary(path + ".tmp"), file(create_file(temporary)) {
    const hid_t root = file.get();
    put_attribute(root, "filetype", std::string(kFileType));
    put_attribute(root, "version", std::uint64_t{kResultsVersion});
    put_attribute(root, "code_version", info.code_version);
    put_attribute(root, "created", info.created);
    put_attribute(root, "job", info.job);
    put_attribute(root, "identity", info.identity);
    put_attribute(root, "model_hash", info.model_hash);
    put_attribute(root, "seed", info.seed);
    for (const char* name : results::tables()) tables.try_emplace(name, root, name, path);
  }

  std::string path;
  std::string temporary;
  h5::Handle file;
  std::map<std::string, Table> tables;
  bool complete = false;
  bool finished = false;
};

ResultsWriter::ResultsWriter(const std::filesystem::path& path, const FileInfo& info)
    : state_(std::make_unique<State>(path, info)) {}

ResultsWriter::~ResultsWriter() {
  const std::string temporary = state_->temporary;
  const bool finished = state_->finished;
  state_.reset();
  if (!finished) ::unlink(temporary.c_str());
}

void ResultsWriter::add(const SampleRow& row) {
  Table& table = state_->tables.at("samples");
  table.put(row.suite).put(row.id).put(row.group).put(row.cluster).put(row.question).put(row.human_choice).put(row.human_value);
  table.put(static_cast<std::uint8_t>(row.status)).put(row.choice).put(row.value).put(row.scores);
  table.put(row.votes).put(row.unreadable).put(row.agreement).put(row.orders);
  table.end_row();
}

void ResultsWriter::add(const CandidateRow& row) {
  Table& table = state_->tables.at("candidates");
  table.put(row.sample).put(row.index).put(row.text).put(row.source).put(row.reward).put(row.rank).end_row();
}

void ResultsWriter::add(const PairRow& row) {
  Table& table = state_->tables.at("pairs");
  table.put(row.sample).put(row.chosen).put(row.rejected).put(row.score_chosen).put(row.score_rejected).put(row.margin);
  table.put(row.agreement).put(row.orders).end_row();
}

void ResultsWriter::add(const JudgementRow& row) {
  const Judgement& j = row.judgement;
  const verdict::Verdict& v = row.verdict;
  Table& table = state_->tables.at("judgements");
  table.put(row.sample).put(j.key.judge_id).put(j.key.criterion).put(base::presentation_text(j.key.presentation));
  table.put(j.key.vote).put(j.asked.low).put(j.asked.high).put(static_cast<std::uint8_t>(j.status)).put(j.error);
  table.put(j.text).put(j.token_ids).put(j.sum_logprob).put(j.watch_logprobs).put(j.prompt_tokens);
  table.put(static_cast<std::uint8_t>(v.status)).put(v.reason).put(v.choice).put(v.value).put(v.scores);
  table.put(row.expected_scores).end_row();
  state_->tables.at("timing").put(j.prefilled_tokens).put(j.group).put(j.seconds).end_row();
}

void ResultsWriter::add(const MetricRow& row) {
  Table& table = state_->tables.at("metrics");
  table.put(row.suite).put(row.group).put(row.name).put(row.rule).put(row.value).put(row.low).put(row.high);
  table.put(row.n).end_row();
}

void ResultsWriter::add(const ThroughputRow& row) {
  Table& table = state_->tables.at("throughput");
  table.put(row.run).put(row.group).put(row.phase).put(row.name).put(row.unit).put(row.value).end_row();
}

std::int64_t ResultsWriter::samples() const { return state_->tables.at("samples").rows(); }

void ResultsWriter::mark_complete() { state_->complete = true; }

void ResultsWriter::finish() {
  put_attribute(state_->file.get(), "complete", std::uint64_t{state_->complete});
  for (auto& [name, table] : state_->tables) table.finish();
  state_->file.close(state_->temporary + ": writing the end");
  const int fd = ::open(state_->temporary.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = fd >= 0 && ::fsync(fd) == 0;
  if (fd >= 0) ::close(fd);
  if (!synced || ::rename(state_->temporary.c_str(), state_->path.c_str()) != 0) {
    throw Error(state_->path + ": cannot be put in place (" + std::strerror(errno) + ")", ErrorKind::failed);
  }
  state_->finished = true;
  const auto folder = std::filesystem::path(state_->path).parent_path();
  const int directory = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    ::fsync(directory);
    ::close(directory);
  }
}

}  // namespace assize::results
