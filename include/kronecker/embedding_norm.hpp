#pragma once

/// The norm that may follow an embedding: of the root of the mean of squares, with a learned weight for every
/// column (RMSNorm, Zhang and Sennrich 2019; the production model of arXiv 2606.07404 has one).
///
///     out = e / sqrt(mean(e^2) + epsilon) * weight

#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/shared_array.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <utility>

namespace KRONECKER_NAMESPACE {

/// The weights of a norm. Copies share them.
class EmbeddingNorm {
 public:
  /// Copies the weight, (d_model). Throws std::invalid_argument if there is none, if one is not finite, or if
  /// epsilon is negative or not finite.
  EmbeddingNorm(Inputs weight, float epsilon)
      : weight_(SharedArray<float>::make(
            weight.size(),
            [&](std::span<float> copy) { std::copy_n(weight.data(), copy.size(), copy.begin()); })),
        epsilon_(epsilon) {
    if (weight.size() == 0) detail::fail<std::invalid_argument>("a norm of no weights");
    check_finite();
    if (!detail::is_finite(epsilon) || epsilon < 0)
      detail::fail<std::invalid_argument>("the norm's epsilon ", epsilon, " is not a finite number >= 0");
  }

  const SharedArray<float>& weight() const& noexcept { return weight_; }  ///< (d_model)
  SharedArray<float> weight() const&& noexcept { return weight_; }        ///< Shares them.
  float epsilon() const noexcept { return epsilon_; }  ///< Added to the mean of the squares.

  /// Lets `change(std::span<float>)` write to the weight, (d_model); copies it first if it is shared. Throws
  /// std::invalid_argument if a number is not finite then: the weight holds what was written.
  template <class Change>
  void update(Change&& change) {
    std::forward<Change>(change)(weight_.mutable_values());
    check_finite();
  }

 private:
  void check_finite() const {
    const std::span<const float> values = weight_.span();
    if (const std::size_t at = detail::first_not_finite(values); at < values.size())
      detail::fail<std::invalid_argument>("the norm's weight ", at, " is ", values[at],
                                          ": it must be finite");
  }

  SharedArray<float> weight_;
  float epsilon_;
};

}  // namespace KRONECKER_NAMESPACE
