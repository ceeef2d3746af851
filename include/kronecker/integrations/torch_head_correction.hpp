#pragma once

/// What corrects an output head (head_correction.hpp) as a LibTorch module. Needs LibTorch, 1.13 or newer.
///
///     const torch::Tensor logits = layer->logits(hidden) + correction(hidden);

#include <kronecker/error.hpp>
#include <kronecker/head_correction.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <ostream>
#include <span>
#include <stdexcept>
#include <vector>

namespace KRONECKER_NAMESPACE::torch_module {

/// bias + (hidden C^T) u^T: its parameters are "bias", (V), "token_factors", u of (V, k), and
/// "state_factors", C of (k, d_model).
class HeadCorrectionImpl : public torch::nn::Cloneable<HeadCorrectionImpl> {
 public:
  /// A correction to start training from: bias_v is the logarithm of token v's share of `counts`, (V), each
  /// plus `smoothing`; u is 0 and C normal with deviation 1 / sqrt(d_model), from torch's generator. Throws
  /// std::invalid_argument if a size does not fit or `smoothing` is not finite and positive.
  HeadCorrectionImpl(const torch::Tensor& counts, std::int64_t d_model, std::int64_t rank,
                     double smoothing = 1)
      : d_model_(d_model), rank_(rank) {
    using kronecker::detail::fail;
    if (counts.dim() != 1 || counts.numel() < 1 || d_model < 1 || rank < 0)
      fail<std::invalid_argument>("counts of ", c10::str(counts.sizes()), ", d_model ", d_model, " and rank ",
                                  rank, " make no correction");
    if (!(smoothing > 0 && std::isfinite(smoothing)))
      fail<std::invalid_argument>("smoothing ", smoothing, " is not finite and positive");
    const torch::Tensor smoothed = counts.to(torch::kDouble) + smoothing;
    first_bias_ = (smoothed / smoothed.sum()).log().to(torch::kFloat);
    reset();
  }

  /// Of another correction's sizes and numbers.
  explicit HeadCorrectionImpl(const kronecker::HeadCorrection& correction)
      : HeadCorrectionImpl(torch::zeros({correction.sizes().vocab_size}), correction.sizes().d_model,
                           correction.sizes().rank) {
    set_correction(correction);
  }

  /// Makes the parameters anew.
  void reset() override {
    bias = register_parameter("bias", first_bias_.clone());
    token_factors = register_parameter("token_factors", torch::zeros({first_bias_.size(0), rank_}));
    state_factors = register_parameter("state_factors", torch::empty({rank_, d_model_}));
    if (rank_ > 0) torch::nn::init::normal_(state_factors, 0, 1 / std::sqrt(static_cast<double>(d_model_)));
  }

  /// Writes the module's name and sizes.
  void pretty_print(std::ostream& stream) const override {
    stream << "kronecker::torch_module::HeadCorrection(" << bias.size(0) << ", d_model=" << d_model_
           << ", rank=" << rank_ << ")";
  }

  /// What it adds to the logits of hidden states: (..., d_model) -> (..., V).
  torch::Tensor forward(const torch::Tensor& hidden) {
    if (hidden.dim() == 0 || hidden.size(-1) != d_model_)
      kronecker::detail::fail<std::invalid_argument>("hidden states of ", c10::str(hidden.sizes()),
                                                     " do not fit d_model ", d_model_);
    if (rank_ == 0) {
      std::vector<std::int64_t> shape = hidden.sizes().vec();
      shape.back() = bias.size(0);
      return bias.expand(shape);
    }
    return torch::nn::functional::linear(hidden.matmul(state_factors.t()), token_factors, bias);
  }

  /// A copy of the numbers as they are, in float32, for kronecker::save, KroneckerHead and everything else.
  /// Throws std::invalid_argument if one is not finite.
  kronecker::HeadCorrection correction() const {
    const HeadCorrectionSizes sizes{static_cast<TokenId>(bias.size(0)), static_cast<int>(d_model_),
                                    static_cast<int>(rank_)};
    return kronecker::HeadCorrection::make(sizes, [&](std::span<float> all) {
      const auto copy = [](const torch::Tensor& from, std::span<float> to) {
        const torch::Tensor here = from.detach().to(torch::kCPU, torch::kFloat).contiguous();
        std::copy_n(here.data_ptr<float>(), to.size(), to.begin());
      };
      copy(bias, sizes.bias(all));
      copy(token_factors, sizes.token_factors(all));
      copy(state_factors, sizes.state_factors(all));
    });
  }

  /// Puts the numbers of a correction there. Throws std::invalid_argument if it is of other sizes; nothing is
  /// changed then.
  void set_correction(const kronecker::HeadCorrection& other) {
    const HeadCorrectionSizes& sizes = other.sizes();
    if (sizes.vocab_size != bias.size(0) || sizes.d_model != d_model_ || sizes.rank != rank_)
      kronecker::detail::fail<std::invalid_argument>(
          "a correction of rank ", sizes.rank, " for ", sizes.vocab_size, " tokens and d_model ",
          sizes.d_model, " does not fit the module's ", rank_, ", ", bias.size(0), " and ", d_model_);
    const torch::NoGradGuard no_gradient;
    const auto copy = [](std::span<const float> from, const torch::Tensor& to) {
      to.copy_(torch::from_blob(const_cast<float*>(from.data()), to.sizes(), torch::kFloat));
    };
    copy(other.bias(), bias);
    copy(other.token_factors(), token_factors);
    copy(other.state_factors(), state_factors);
  }

  torch::Tensor bias;           ///< (V)
  torch::Tensor token_factors;  ///< u, (V, k)
  torch::Tensor state_factors;  ///< C, (k, d_model)

 private:
  std::int64_t d_model_, rank_;
  torch::Tensor first_bias_;
};

/// Holds a HeadCorrectionImpl, as torch's modules are held.
TORCH_MODULE(HeadCorrection);

}  // namespace KRONECKER_NAMESPACE::torch_module
