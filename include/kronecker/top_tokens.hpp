#pragma once

/// The tokens with the largest logits, kept while the logits come by.

#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// The `most` best of the tokens that are offered; of equal logits, the lowest id is better.
class TopTokens {
 public:
  using TokenLogit = std::pair<TokenId, float>;  ///< A token and its logit.

  TopTokens(std::size_t most, std::size_t vocab_size) : most_(most) {
    best_.reserve((std::min)(most, vocab_size));
  }

  void offer(TokenId id, float logit) {
    const TokenLogit found{id, logit};
    if (best_.size() == most_) {
      if (!is_better(found, best_.front())) return;
      std::pop_heap(best_.begin(), best_.end(), is_better);
      best_.pop_back();
    }
    best_.push_back(found);
    std::push_heap(best_.begin(), best_.end(), is_better);
  }

  /// Best first. Nothing is left here.
  std::vector<TokenLogit> take() {
    std::sort_heap(best_.begin(), best_.end(), is_better);
    return std::move(best_);
  }

 private:
  static bool is_better(const TokenLogit& a, const TokenLogit& b) noexcept {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  }

  std::size_t most_;
  std::vector<TokenLogit> best_;  // a heap with the least of them in front
};

}  // namespace KRONECKER_NAMESPACE::detail
