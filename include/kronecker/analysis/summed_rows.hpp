#pragma once

/// The rows whose sums point where embeddings do, whatever the codes are and whatever follows: what looks for
/// bytes by the direction of a vector.

#include <kronecker/cell.hpp>
#include <kronecker/embedding.hpp>
#include <kronecker/encoder.hpp>
#include <kronecker/kernels/instruction_set.hpp>
#include <kronecker/kernels/row_products.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/projection.hpp>
#include <kronecker/rows.hpp>
#include <kronecker/views.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// The embedding of a string of L bytes has the direction of
///
///     sum_p rows_{cell_p} + length_row(L)
///
/// where the rows are centered if z-normalizing, and the row of the length is what rounding the codes leaves
/// of their mean: zero for exact codes. The weight of a norm is multiplied into all of them.
class SummedRows {
 public:
  template <class Scalar>
  explicit SummedRows(const KroneckerEmbedding<Scalar>& embedding)
      : encoder_(embedding.encoder()),
        projection_(embedding.projection()),
        length_rows_(Eigen::MatrixXf::Zero(d_model(), encoder_.pos_dim() + 1)) {
    if (encoder_.has_length_rows()) {
      const std::vector<double> mean = mean_row(projection_.weights().span(), d_model());
      const Eigen::Map<const Eigen::VectorXd> w_bar(mean.data(), d_model());
      for (int length = 1; length <= encoder_.pos_dim(); ++length)
        length_rows_.col(length) = ((encoder_.length_row_factor(length) + length) * w_bar).cast<float>();
      projection_ = centered(projection_);
    }
    if (embedding.norm()) multiply(embedding.norm()->weight().span());
    for (int position = 0; position < encoder_.pos_dim(); ++position)
      for (int byte = 0; byte < encoder_.char_dim(); ++byte)
        cells_.push_back(static_cast<std::uint32_t>(byte * encoder_.pos_dim() + position));
  }

  const DynamicEncoder& encoder() const noexcept { return encoder_; }
  int d_model() const noexcept { return projection_.d_model(); }

  /// (d_model, D): the row of a cell is a column.
  Eigen::Map<const Eigen::MatrixXf> all() const noexcept {
    return {projection_.weights().data(), d_model(), projection_.code_dim()};
  }
  auto length_row(std::size_t length) const { return length_rows_.col(static_cast<Eigen::Index>(length)); }

  Eigen::Index cell(char byte, std::size_t position) const {
    return static_cast<Eigen::Index>(
        cell_of(static_cast<unsigned char>(byte), position, static_cast<std::size_t>(encoder_.pos_dim())));
  }
  auto of(char byte, std::size_t position) const -> Eigen::Map<const Eigen::VectorXf> {
    return {projection_.weights().data() + cell(byte, position) * d_model(), d_model()};
  }

  /// (D, vectors rounded up to a multiple of 4): the product of a cell's row with each vector.
  using Products = RowMajorMatrix<float>;

  /// The products of all rows with some vectors, one in each column.
  Products products(const Eigen::MatrixXf& vectors) const {
    Products all(projection_.code_dim(), (vectors.cols() + 3) / 4 * 4);
    multiply({0, cells_.size()}, vectors, all);
    return all;
  }
  /// Writes those of the rows of all bytes at a position, and no others.
  void multiply(std::size_t position, const Eigen::MatrixXf& vectors, Products& products) const {
    const auto char_dim = static_cast<std::size_t>(encoder_.char_dim());
    multiply({position * char_dim, (position + 1) * char_dim}, vectors, products);
  }

 private:
  /// A few vectors at a time, which stay in the first-level cache.
  void multiply(Range cells, const Eigen::MatrixXf& vectors, Products& products) const {
    const auto width = static_cast<std::size_t>(d_model()), count = static_cast<std::size_t>(vectors.cols());
    const std::size_t at_once = (std::max)(std::size_t{4}, 6144 / width / 4 * 4);
    const kernels::Rows rows{projection_.weights().data(), nullptr, width, 0};
    for (std::size_t first = 0; first < count; first += at_once)
      kernels::multiply_rows<kernels::RowType::float32>(
          kernels::instruction_set(), rows,
          {cells_.data() + cells.begin, cells.size(), vectors.data() + first * width,
           (std::min)(at_once, count - first), products.data() + first,
           static_cast<std::size_t>(products.cols())});
  }

  void multiply(std::span<const float> weight) {
    const Eigen::Map<const Eigen::VectorXf> factors(weight.data(), d_model());
    length_rows_ = factors.asDiagonal() * length_rows_;
    const Eigen::Map<const Eigen::MatrixXf> before = all();
    projection_ = LearnedProjection::make(d_model(), projection_.code_dim(), [&](std::span<float> rows) {
      Eigen::Map<Eigen::MatrixXf>(rows.data(), before.rows(), before.cols()) = factors.asDiagonal() * before;
    });
  }

  DynamicEncoder encoder_;
  LearnedProjection projection_;      // the rows as floats
  Eigen::MatrixXf length_rows_;       // (d_model, pos_dim + 1)
  std::vector<std::uint32_t> cells_;  // all, position by position
};

}  // namespace KRONECKER_NAMESPACE::detail
