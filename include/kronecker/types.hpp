#pragma once

/// The two types that every part of the library speaks: a token's id and a row-major matrix.

#include <kronecker/namespace.hpp>

#include <Eigen/Core>
#include <cstdint>

namespace KRONECKER_NAMESPACE {

/// Index of a token in its vocabulary, 0 to V - 1.
using TokenId = std::int32_t;

/// A matrix whose rows are contiguous, as in C, NumPy and PyTorch.
template <class T>
using RowMajorMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

}  // namespace KRONECKER_NAMESPACE
