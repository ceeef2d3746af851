#pragma once

/// From a vector back to bytes: the string whose embedding points where a vector does.
///
/// An embedding is a sum of rows, one for each position. D = char_dim * pos_dim rows span more codes than
/// d_model numbers tell apart, but those of few lit cells are found. The shortest code with the embedding v
/// is R (R^T R)^-1 v, by the pseudo-inverse of the rows R, (D, d_model); at each position the byte of its
/// largest cell is taken, and the length at which the sum of the rows is nearest to v. What the positions add
/// to each other's cells by chance is known then: so the same is done with what is left of v, until no byte
/// changes. A vector that is no embedding is then compared with all strings that differ in one position, over
/// and over.

#include <kronecker/analysis/summed_rows.hpp>
#include <kronecker/embedding.hpp>
#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>
#include <kronecker/views.hpp>

#include <Eigen/Cholesky>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace KRONECKER_NAMESPACE {

/// The bytes that a vector was taken for.
struct DecodedBytes {
  std::string bytes;  ///< None for a vector of zeros.
  float cosine = 0;   ///< Of their embedding with the vector; 0 for a vector of zeros.

  bool operator==(const DecodedBytes&) const = default;  ///< Same bytes, same cosine.
};

/// Finds bytes by their embeddings. Immutable, so any number of threads may use one; it shares rows of floats
/// that need no preparation, has a copy as floats of others, and d_model * d_model numbers besides.
class ByteDecoder {
 public:
  /// For what `embedding.embed` makes of any strings: its vocabulary, and the rows that some tokens have of
  /// their own, have no part in it. If a norm follows, vectors are taken to be what it puts out.
  /// O(D * d_model^2).
  template <class Scalar>
  explicit ByteDecoder(const KroneckerEmbedding<Scalar>& embedding)
      : rows_(embedding), row_squares_(rows_.all().colwise().squaredNorm().transpose()) {
    factor();
  }

  /// The bytes whose embedding has the largest cosine with `vector`, of d_model numbers; how long it is does
  /// not matter. They are looked for, not compared with all others: an embedding is found again if d_model
  /// and the stable rank suffice for its length (docs/decoding.md), and a `cosine` of 1 says that it was.
  /// Throws std::invalid_argument if there are not d_model numbers, or if one is not finite. O(D * d_model) a
  /// round, of which an embedding seldom takes more than two.
  DecodedBytes decode(Inputs vector) const {
    if (vector.size() != width())
      detail::fail<std::invalid_argument>("a vector of ", vector.size(),
                                          " numbers cannot be decoded: d_model is ", d_model());
    return decode_all(vector).front();
  }

  /// The same for each of N vectors, (N, d_model), in less time for each. Throws std::invalid_argument if the
  /// numbers are no multiple of d_model, or if one is not finite.
  std::vector<DecodedBytes> decode_all(Inputs vectors) const {
    if (vectors.size() % width() != 0)
      detail::fail<std::invalid_argument>(vectors.size(), " numbers are no vectors of d_model ", d_model());
    for (std::size_t i = 0; i < vectors.size(); ++i)
      if (!detail::is_finite(vectors.data()[i]))
        detail::fail<std::invalid_argument>("number ", i % width(), " of the vector at index ", i / width(),
                                            " is ", vectors.data()[i], ": it must be finite");
    constexpr std::size_t most_at_once = 64;
    std::vector<DecodedBytes> decoded(vectors.size() / width());
    for (std::size_t first = 0; first < decoded.size(); first += most_at_once) {
      const std::size_t count = (std::min)(most_at_once, decoded.size() - first);
      decode_some({vectors.data() + first * width(), d_model(), static_cast<Eigen::Index>(count)},
                  std::span(decoded).subspan(first, count));
    }
    return decoded;
  }

  /// Length of a vector.
  int d_model() const noexcept { return rows_.d_model(); }

  /// |R|_F^2 / |R|_2^2 of the rows, times the weight of a norm, from 1 to d_model: how many directions as
  /// strong as the strongest one would make up all of them. Random rows have about what their shape allows;
  /// trained ones may have few, and tell fewer bytes apart than d_model suggests. 0 if all rows are zero.
  double stable_rank() const noexcept { return stable_rank_; }

 private:
  using Vectors = Eigen::Map<const Eigen::MatrixXf>;  // one in each column
  using Vector = Eigen::Ref<const Eigen::VectorXf>;

  static constexpr double exact = 1 - 1e-12;  // a cosine that only the rounding of floats keeps from 1

  /// What a vector is taken for so far.
  struct Guess {
    std::string bytes = {};
    Eigen::VectorXf sum;  // of their rows and that of their length
    double cosine = -2;   // of the sum with the vector; at first below all
  };

  std::size_t width() const noexcept { return static_cast<std::size_t>(d_model()); }

  /// The factor of R^T R, to which so little is added that it has one whatever the rows are; and the diagonal
  /// of R (R^T R)^-1 R^T, from the rows that the factor makes.
  void factor() {
    constexpr Eigen::Index block = 512;
    constexpr double least = 1e-6;
    const auto for_each_block = [&](const auto& use) {
      for (Eigen::Index first = 0; first < rows_.all().cols(); first += block)
        use(first, (std::min)(block, rows_.all().cols() - first));
    };
    Eigen::MatrixXd gram = Eigen::MatrixXd::Zero(d_model(), d_model());
    for_each_block([&](Eigen::Index first, Eigen::Index count) {
      const Eigen::MatrixXd some = rows_.all().middleCols(first, count).cast<double>();
      gram.selfadjointView<Eigen::Lower>().rankUpdate(some);
    });
    const double largest = largest_eigenvalue(gram);
    stable_rank_ = largest > 0 ? gram.trace() / largest : 0;
    gram.diagonal().array() += largest > 0 ? least * largest : 1.0;
    const Eigen::LLT<Eigen::Ref<Eigen::MatrixXd>> in_place(gram);
    factor_ = gram.cast<float>();
    self_response_.resize(rows_.all().cols());
    for_each_block([&](Eigen::Index first, Eigen::Index count) {
      Eigen::MatrixXf made = rows_.all().middleCols(first, count);
      factor_.triangularView<Eigen::Lower>().solveInPlace(made);
      self_response_.segment(first, count) = made.colwise().squaredNorm().transpose();
    });
  }

  /// By the power method, of the lower triangle.
  static double largest_eigenvalue(const Eigen::MatrixXd& gram) {
    constexpr int most_products = 300;
    constexpr double tolerance = 1e-6;
    Eigen::Index strongest = 0;
    double value = gram.diagonal().maxCoeff(&strongest);
    Eigen::VectorXd direction = Eigen::VectorXd::Unit(gram.rows(), strongest);
    for (int i = 0; i < most_products && value > 0; ++i) {
      direction = gram.selfadjointView<Eigen::Lower>() * direction;
      const double before = std::exchange(value, direction.norm());
      direction /= value;
      if (i > 0 && value - before <= tolerance * value) break;
    }
    return value;
  }

  void decode_some(const Vectors& vectors, std::span<DecodedBytes> decoded) const {
    Eigen::MatrixXf units = vectors;
    std::vector<Eigen::Index> open;  // the vectors whose bytes may still change
    for (Eigen::Index i = 0; i < units.cols(); ++i) {
      const double length = units.col(i).cast<double>().norm();
      if (!(length > 0)) continue;
      open.push_back(i);
      units.col(i) = (units.col(i).cast<double>() / length).cast<float>();
    }
    const std::vector<Eigen::Index> not_zero = open;
    std::vector<Guess> best(static_cast<std::size_t>(units.cols()));
    for (Guess& guess : best) guess.sum = Eigen::VectorXf::Zero(d_model());
    look_in_rounds(units, std::move(open), best);
    for (const Eigen::Index i : not_zero) {
      Guess& guess = best[static_cast<std::size_t>(i)];
      if (guess.cosine < exact) improve(units.col(i), guess);
      if (guess.cosine < exact) {
        Guess from_nothing{"", Eigen::VectorXf::Zero(d_model())};
        improve(units.col(i), from_nothing);
        if (from_nothing.cosine > guess.cosine) guess = std::move(from_nothing);
      }
      decoded[static_cast<std::size_t>(i)] = {std::move(guess.bytes), static_cast<float>(guess.cosine)};
    }
  }

  /// The rounds by the pseudo-inverse, for the `open` ones.
  void look_in_rounds(const Eigen::MatrixXf& units, std::vector<Eigen::Index> open,
                      std::vector<Guess>& best) const {
    constexpr int most_rounds = 32;
    std::vector<Guess> guesses = best;
    for (int round = 0; round < most_rounds && !open.empty(); ++round) {
      const detail::SummedRows::Products codes = codes_of_rest(units, guesses, open);
      std::vector<Eigen::Index> still_open;
      for (std::size_t j = 0; j < open.size(); ++j) {
        const auto i = static_cast<std::size_t>(open[j]);
        Guess next = next_guess(codes.col(static_cast<Eigen::Index>(j)), guesses[i], units.col(open[j]));
        if (next.bytes != guesses[i].bytes && next.cosine < exact) still_open.push_back(open[j]);
        guesses[i] = std::move(next);
        if (guesses[i].cosine > best[i].cosine) best[i] = guesses[i];
      }
      open = std::move(still_open);
    }
  }

  /// What the sum of the rows of a guess is to be multiplied by to be nearest to the vector of length 1.
  static float scale_of(const Guess& guess) {
    const float length = guess.sum.norm();
    return length > 0 ? static_cast<float>(guess.cosine) / length : 0.0f;
  }

  /// The codes of what the guesses leave of the vectors: a column for each of the open ones.
  detail::SummedRows::Products codes_of_rest(const Eigen::MatrixXf& units, const std::vector<Guess>& guesses,
                                             const std::vector<Eigen::Index>& open) const {
    Eigen::MatrixXf rest(d_model(), static_cast<Eigen::Index>(open.size()));
    for (std::size_t j = 0; j < open.size(); ++j) {
      const Guess& guess = guesses[static_cast<std::size_t>(open[j])];
      rest.col(static_cast<Eigen::Index>(j)) = units.col(open[j]) - scale_of(guess) * guess.sum;
    }
    factor_.triangularView<Eigen::Lower>().solveInPlace(rest);
    factor_.transpose().triangularView<Eigen::Upper>().solveInPlace(rest);
    return rows_.products(rest);
  }

  /// The bytes of the largest cells, after what `guess` had there is put back, up to the length that gives
  /// the largest cosine.
  Guess next_guess(Eigen::VectorXf code, const Guess& guess, const Vector& unit) const {
    for (std::size_t p = 0; p < guess.bytes.size(); ++p) {
      const Eigen::Index lit = rows_.cell(guess.bytes[p], p);
      code[lit] += scale_of(guess) * self_response_[lit];
    }
    const Eigen::Map<const RowMajorMatrix<float>> by_byte(code.data(), rows_.encoder().char_dim(),
                                                          rows_.encoder().pos_dim());
    Guess next, longer{"", Eigen::VectorXf::Zero(d_model())};
    for (int p = 0; p < rows_.encoder().pos_dim(); ++p) {
      Eigen::Index byte = 0;
      by_byte.col(p).maxCoeff(&byte);
      longer.sum -= rows_.length_row(longer.bytes.size());
      longer.sum += rows_.of(static_cast<char>(byte), longer.bytes.size());
      longer.bytes += static_cast<char>(byte);
      longer.sum += rows_.length_row(longer.bytes.size());
      longer.cosine = cosine_with(unit, longer.sum);
      if (next.bytes.empty() || longer.cosine > next.cosine) next = longer;
    }
    return next;
  }

  /// With a vector whose length is 1 only to the rounding of floats, which is more than `exact` leaves.
  static double cosine_with(const Vector& unit, const Vector& sum) {
    const double lengths = sum.cast<double>().norm() * unit.cast<double>().norm();
    return lengths > 0 ? sum.cast<double>().dot(unit.cast<double>()) / lengths : 0;
  }

  /// Changes one byte after the other, the one after the last too, to what gives the largest cosine, or takes
  /// off the last one, until nothing gives a larger cosine.
  void improve(const Vector& unit, Guess& guess) const {
    constexpr int most_sweeps = 32;
    const auto pos_dim = static_cast<std::size_t>(rows_.encoder().pos_dim());
    detail::SummedRows::Products products(row_squares_.size(), 4);  // of each position when it is looked at
    for (int sweep = 0; sweep < most_sweeps; ++sweep) {
      const std::string before = guess.bytes;
      for (std::size_t p = 0; p < pos_dim && p <= guess.bytes.size(); ++p)
        improve_at(p, unit, guess, products);
      if (guess.bytes == before) return;
    }
  }

  void improve_at(std::size_t position, const Vector& unit, Guess& guess,
                  detail::SummedRows::Products& products) const {
    constexpr double least = 1e-6;  // beyond what floats make of equal cosines
    const bool is_new = position == guess.bytes.size();
    Eigen::VectorXf shorter = guess.sum - rows_.length_row(guess.bytes.size());
    if (!is_new) shorter -= rows_.of(guess.bytes[position], position);
    Eigen::MatrixXf factors(d_model(), 2);
    factors.col(0) = unit;
    factors.col(1) = shorter + rows_.length_row(guess.bytes.size() + (is_new ? 1 : 0));
    const Vector others = factors.col(1);
    rows_.multiply(position, factors, products);

    const float product = others.dot(unit), square = others.squaredNorm();
    float most = -2;  // below all cosines
    int byte = 0;
    for (int i = 0; i < rows_.encoder().char_dim(); ++i) {
      const Eigen::Index cell = rows_.cell(static_cast<char>(i), position);
      const float cosine =
          (products(cell, 0) + product) / std::sqrt(2 * products(cell, 1) + row_squares_[cell] + square);
      if (!(detail::is_finite(cosine) && cosine > most)) continue;
      most = cosine;
      byte = i;
    }

    const auto take_if_better = [&](std::string bytes, const Vector& sum) {
      const double cosine = cosine_with(unit, sum);
      if (cosine > guess.cosine + least) guess = {std::move(bytes), sum, cosine};
    };
    std::string changed = guess.bytes.substr(0, position) + static_cast<char>(byte);
    if (!is_new) changed += guess.bytes.substr(position + 1);
    const bool is_last = position > 0 && position + 1 == guess.bytes.size();
    take_if_better(changed, others + rows_.of(changed[position], position));
    if (is_last) take_if_better(changed.substr(0, position), shorter + rows_.length_row(position));
  }

  detail::SummedRows rows_;
  Eigen::VectorXf row_squares_;    // (D) the rows' squared lengths
  Eigen::MatrixXf factor_;         // (d_model, d_model) its lower triangle
  Eigen::VectorXf self_response_;  // (D) what the code of a row has at its own cell
  double stable_rank_ = 0;
};

}  // namespace KRONECKER_NAMESPACE
