#pragma once

/// A fit (fit.hpp) without some of the tokens, measured on these: which ridge is best for them, how much of
/// what makes them differ it explains, and whether they fit the rows of other ids better.

#include <kronecker/analysis/fit_equations.hpp>
#include <kronecker/analysis/fit_solver.hpp>
#include <kronecker/analysis/fit_target.hpp>
#include <kronecker/encoder.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/random.hpp>
#include <kronecker/token_bytes.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// Columns of a table, at most, by which fits are compared.
inline constexpr Eigen::Index sampled_columns = 64;

/// A tenth of the tokens, in two halves: of each ten that follow each other by weight and id, one at random.
struct HeldOutTokens {
  std::vector<TokenId> halves[2];

  explicit HeldOutTokens(const std::vector<double>& weights) {
    constexpr std::size_t fewest = 100, run = 10;
    std::vector<TokenId> ids;
    for (std::size_t id = 0; id < weights.size(); ++id)
      if (weights[id] > 0) ids.push_back(static_cast<TokenId>(id));
    if (ids.size() < fewest) return;
    std::stable_sort(ids.begin(), ids.end(), [&](TokenId a, TokenId b) {
      return weights[static_cast<std::size_t>(a)] > weights[static_cast<std::size_t>(b)];
    });
    RandomStream random(1);
    for (std::size_t i = 0; i + run <= ids.size(); i += run)
      halves[i / run % 2].push_back(ids[i + random_below(random, run)]);
  }

  /// Whether there are tokens enough, 100, to hold some out.
  bool is_there() const noexcept { return !halves[0].empty(); }

  std::vector<TokenId> all() const {
    std::vector<TokenId> ids = halves[0];
    ids.insert(ids.end(), halves[1].begin(), halves[1].end());
    return ids;
  }

  /// The weights of the others; 0 for these.
  std::vector<double> without(std::vector<double> weights) const {
    for (const TokenId id : all()) weights[static_cast<std::size_t>(id)] = 0;
    return weights;
  }
};

/// What a fit without them says of the tokens that are held out.
struct HeldOutFigures {
  double ridge = 1e-6;  ///< That was given or chosen.
  double r_squared = std::numeric_limits<double>::quiet_NaN();
  std::vector<std::pair<TokenId, double>> distances = {};  ///< Of tokens that decided nothing, squared.
  int shift = 0;  ///< The ids whose rows fit better, relative to its own.
  double shifted_r_squared = std::numeric_limits<double>::quiet_NaN();
};

/// The fit without them.
class HeldOutFit {
 public:
  HeldOutFit(const DynamicEncoder& encoder, const TokenBytes& token_bytes, const std::vector<double>& weights,
             const FitTarget::Table& table, const FitAccuracy& accuracy)
      : weights_(weights),
        held_out_(weights),
        equations_(encoder, token_bytes, held_out_.without(weights)),
        solver_(equations_, accuracy),
        target_(fit_target(table, held_out_.without(weights))),
        sample_(target_.thinned(sampled_columns)) {}
  HeldOutFit(const HeldOutFit&) = delete;
  HeldOutFit& operator=(const HeldOutFit&) = delete;

  /// The ridge that is best for the first half: 1 times the power of ten, then the half power, from which no
  /// step makes the error a thousandth smaller; 1e-6 to 1e6. `tried` is called after each.
  double best_ridge(const std::function<void()>& tried) {
    constexpr int most = 12;
    std::map<int, double> errors;  // by twice the logarithm
    const auto error = [&](int i) {
      const auto [found, is_new] = errors.try_emplace(i);
      if (is_new) {
        const double ridge = ridge_of(i);
        found->second = 1 - r_squared(sample_, solver_.solve(sample_, ridge), held_out_.halves[0]);
        tried();
      }
      return found->second;
    };
    int best = 0;
    for (const int step : {2, 1})
      for (const int direction : {step, -step})
        while (std::abs(best + direction) <= most && error(best + direction) < 0.999 * error(best))
          best += direction;
    return ridge_of(best);
  }

  /// The figures for a ridge that was chosen on the first half, or given.
  HeldOutFigures figures(double ridge, bool is_chosen) {
    HeldOutFigures figures;
    figures.ridge = ridge;
    const FitEquations::Matrix x = solver_.solve(target_, ridge);
    const std::vector<TokenId> ids = is_chosen ? held_out_.halves[1] : held_out_.all();
    figures.r_squared = r_squared(target_, x, ids);
    for (const TokenId id : ids)
      figures.distances.emplace_back(id, equations_.squares(target_, x, id).distance);
    find_shift(figures);
    return figures;
  }

 private:
  /// Not by std::pow, whose last bit depends on the library.
  static double ridge_of(int twice_the_logarithm) {
    double power = twice_the_logarithm % 2 == 0 ? 1 : std::sqrt(10.0);
    for (int i = std::abs(twice_the_logarithm) / 2; i > 0; --i) power *= 10;
    return twice_the_logarithm < 0 ? 1 / power : power;
  }

  double r_squared(const FitTarget& target, const FitEquations::Matrix& x,
                   std::span<const TokenId> ids) const {
    FitSquares sums;
    for (const TokenId id : ids)
      sums.add(weights_[static_cast<std::size_t>(id)], equations_.squares(target, x, id));
    return sums.r_squared();
  }

  /// Looks for rows of other ids that fit clearly better: by more than samples of as many tokens differ. (The
  /// ridge is one that does for most tables: what was chosen for rows that do not fit hides those that do.)
  void find_shift(HeldOutFigures& figures) {
    constexpr int farthest = 4;
    constexpr double ridge = 1;
    constexpr double least_gain = 0.02;
    const std::vector<TokenId> ids = held_out_.all();
    double sum = 0, sum_of_squares = 0;
    for (const TokenId id : ids) {
      const double weight = weights_[static_cast<std::size_t>(id)];
      sum += weight;
      sum_of_squares += weight * weight;
    }
    const double tokens = sum * sum / sum_of_squares;
    const double gain = (std::max)(least_gain, 2 / std::sqrt(tokens));
    const auto size = static_cast<TokenId>(weights_.size());
    const auto r_squared_of = [&](int shift) {
      std::vector<TokenId> row_of(weights_.size());
      for (TokenId id = 0; id < size; ++id)
        row_of[static_cast<std::size_t>(id)] = ((id + shift) % size + size) % size;
      const FitTarget shifted = sample_.with_rows(std::move(row_of));
      return r_squared(shifted, solver_.solve(shifted, ridge), ids);
    };
    double best = (std::max)(r_squared_of(0), 0.0) + gain;
    for (int shift = -farthest; shift <= farthest; ++shift) {
      const double found = shift == 0 ? 0 : r_squared_of(shift);
      if (!(found > best)) continue;
      best = figures.shifted_r_squared = found;
      figures.shift = shift;
    }
  }

  const std::vector<double>& weights_;
  HeldOutTokens held_out_;
  FitEquations equations_;
  FitSolver solver_;
  FitTarget target_;
  FitTarget sample_;
};

}  // namespace KRONECKER_NAMESPACE::detail
