#pragma once

/// A text as tokens, and the sequences that are taken from it.

#include <fmt/core.h>
#include <torch/torch.h>
#include <kronecker/files/npy.hpp>
#include <kronecker/kronecker.hpp>

#include <cstdint>
#include <filesystem>
#include <random>
#include <vector>

namespace language_model {

using kronecker::TokenId;

/// Sequences and, for each of their tokens, the one that follows: (batch, context) each.
struct Batch {
  torch::Tensor ids;
  torch::Tensor next_ids;
};

class Corpus {
 public:
  /// The ids of a .npy file. Throws FileError if one is outside the vocabulary, or if there are too few for
  /// `context`.
  Corpus(const std::filesystem::path& path, kronecker::TokenId vocab_size, int context)
      : context_(static_cast<std::size_t>(context)), ids_(kronecker::read_npy<TokenId>(path).values) {
    for (std::size_t i = 0; i < ids_.size(); ++i)
      if (ids_[i] < 0 || ids_[i] >= vocab_size)
        throw kronecker::FileError(fmt::format("{}: id {} at {} is outside the vocabulary of {} tokens",
                                               kronecker::shown_text(path.string()), ids_[i], i, vocab_size));
    if (ids_.size() <= context_)
      throw kronecker::FileError(fmt::format("{}: {} tokens are too few for sequences of {}",
                                             kronecker::shown_text(path.string()), ids_.size(), context));
  }

  std::size_t size() const { return ids_.size(); }
  /// How often each token of the vocabulary is there, (V).
  torch::Tensor token_counts(TokenId vocab_size) const {
    std::vector<std::int64_t> counts(static_cast<std::size_t>(vocab_size));
    for (const TokenId id : ids_) ++counts[static_cast<std::size_t>(id)];
    return torch::tensor(counts);
  }
  /// Sequences without overlap.
  std::size_t sequences() const { return (ids_.size() - 1) / context_; }

  /// Some sequences from anywhere, the same for the same seed and step.
  Batch random_batch(int count, std::uint64_t seed, int step) const {
    std::seed_seq mixed{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32),
                        static_cast<std::uint32_t>(step)};
    std::mt19937_64 random(mixed);
    std::vector<std::size_t> starts;
    for (int i = 0; i < count; ++i) starts.push_back(random() % (ids_.size() - context_));
    return batch_at(starts);
  }

  /// Sequences `first` to `first + count` of those without overlap.
  Batch batch_in_order(std::size_t first, std::size_t count) const {
    std::vector<std::size_t> starts;
    for (std::size_t i = 0; i < count; ++i) starts.push_back((first + i) * context_);
    return batch_at(starts);
  }

 private:
  Batch batch_at(const std::vector<std::size_t>& starts) const {
    std::vector<std::int64_t> ids, next_ids;
    for (const std::size_t start : starts) {
      const auto first = ids_.begin() + static_cast<std::ptrdiff_t>(start);
      const auto length = static_cast<std::ptrdiff_t>(context_);
      ids.insert(ids.end(), first, first + length);
      next_ids.insert(next_ids.end(), first + 1, first + 1 + length);
    }
    const std::vector<std::int64_t> shape = {static_cast<std::int64_t>(starts.size()),
                                             static_cast<std::int64_t>(context_)};
    return {torch::tensor(ids).view(shape), torch::tensor(next_ids).view(shape)};
  }

  std::size_t context_;
  std::vector<TokenId> ids_;
};

}  // namespace language_model
