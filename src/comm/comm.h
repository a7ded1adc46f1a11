#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace assize::comm {

/// The ranks of one tensor-parallel worker group. Every call is collective: all ranks make it in the same
/// order. Implementations: alone (size 1), in-process twin (threads), MPI.
class Comm {
 public:
  virtual ~Comm() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;  ///< 1, 2 or 4

  /// In place: values[i] = sum over ranks in the fixed tree (0+1)+(2+3), the same bits on every rank and at
  /// every message size.
  virtual void all_reduce_sum(std::span<float> values) = 0;

  /// Concatenates equally sized contributions in rank order: gathered.size() == size() * own.size().
  virtual void all_gather(std::span<const std::byte> own, std::span<std::byte> gathered) = 0;

  /// Rank 0's bytes on every rank. Other ranks' `bytes` is replaced.
  virtual void broadcast(std::vector<std::byte>& bytes) = 0;
};

/// A group of one.
std::unique_ptr<Comm> make_alone();

/// `size` communicators joined in this process, one for each thread of a group.
std::vector<std::unique_ptr<Comm>> make_in_process(int size);

}  // namespace assize::comm
