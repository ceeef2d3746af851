#pragma once

/// Which cell of a code a byte lights (arXiv 2605.29459, eq. 1).

#include <kronecker/namespace.hpp>

#include <cstddef>

namespace KRONECKER_NAMESPACE {

/// The cell that `byte` lights at `position` of a token: byte * pos_dim + position, below D = char_dim *
/// pos_dim.
constexpr std::size_t cell_of(std::size_t byte, std::size_t position, std::size_t pos_dim) noexcept {
  return byte * pos_dim + position;
}

}  // namespace KRONECKER_NAMESPACE
