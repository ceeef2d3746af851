#pragma once

/// Numbers of the caller's, as this library takes them: read through `Inputs`, written through `Outputs`.
/// What the library returns converts to either, and so does whatever else holds numbers one after the other.

#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>

#include <concepts>
#include <cstddef>
#include <ranges>
#include <span>
#include <type_traits>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// An Eigen object that lies in memory: a matrix, a vector, or a map, reference or block of one.
template <class M>
concept EigenMemory = requires(const M& matrix) {
  typename M::Scalar;
  {M::IsRowMajor};
  { matrix.data() } -> std::convertible_to<const typename M::Scalar*>;
  matrix.outerStride();
};

template <class R, class T>
concept EigenMemoryOf =
    EigenMemory<std::remove_cvref_t<R>> && std::same_as<typename std::remove_cvref_t<R>::Scalar, T>;

/// A span, vector, array or built-in array of T.
template <class R, class T>
concept RangeOf = !EigenMemory<std::remove_cvref_t<R>> && std::ranges::contiguous_range<R> &&
                  std::ranges::sized_range<R> && std::same_as<std::ranges::range_value_t<R>, T>;

template <class R, class T>
concept NumbersOf = RangeOf<R, T> || EigenMemoryOf<R, T>;

template <class R, class T>
concept MutableRangeOf = RangeOf<R, T> && requires(R& numbers) {
  { std::ranges::data(numbers) } -> std::same_as<T*>;
};
template <class R, class T>
concept MutableEigenMemoryOf = EigenMemoryOf<R, T> && requires(R& numbers) {
  { numbers.data() } -> std::same_as<T*>;
};
template <class R, class T>
concept MutableNumbersOf = MutableRangeOf<R, T> || MutableEigenMemoryOf<R, T>;

/// The number of values of an Eigen object, row after row. What is no row-major matrix or has gaps is refused
/// by the compiler where its type says so, else by std::invalid_argument.
template <class M>
std::size_t gapless_size(const M& matrix) {
  constexpr bool is_vector = M::IsVectorAtCompileTime;
  constexpr auto inner = Eigen::internal::inner_stride_at_compile_time<M>::ret;
  static_assert(is_vector || M::IsRowMajor,
                "matrices are taken by rows: use kronecker::RowMajorMatrix, or a map of row-major numbers");
  static_assert(inner == 1 || inner == Eigen::Dynamic, "the numbers do not lie one after the other");
  if (matrix.size() > 1 && matrix.innerStride() != 1)
    fail<std::invalid_argument>("numbers with an inner stride of ", matrix.innerStride(),
                                " do not lie one after the other");
  if (!is_vector && matrix.rows() > 1 && matrix.outerStride() != matrix.cols())
    fail<std::invalid_argument>("a matrix of ", matrix.rows(), " x ", matrix.cols(),
                                " with an outer stride of ", matrix.outerStride(),
                                " has gaps between its rows");
  return static_cast<std::size_t>(matrix.size());
}

template <class R>
std::size_t number_count(const R& numbers) {
  if constexpr (EigenMemory<R>)
    return gapless_size(numbers);
  else
    return std::ranges::size(numbers);
}

template <class R>
auto* first_number(R& numbers) {
  if constexpr (EigenMemory<std::remove_const_t<R>>)
    return numbers.data();
  else
    return std::ranges::data(numbers);
}

}  // namespace detail

/// Floats that are read: a view of a span, vector or array of float, of an Eigen vector, a row-major matrix,
/// or a map or block of one without gaps. It takes temporaries, which live as long as the call.
class Inputs {
 public:
  /// `count` floats from `values` on.
  constexpr Inputs(const float* values, std::size_t count) noexcept : values_(values, count) {}
  /// Throws std::invalid_argument, naming the stride, if there are gaps between the numbers.
  template <detail::NumbersOf<float> R>
  Inputs(const R& numbers) : values_(detail::first_number(numbers), detail::number_count(numbers)) {}

  std::size_t size() const noexcept { return values_.size(); }      ///< How many.
  const float* data() const noexcept { return values_.data(); }     ///< The first.
  std::span<const float> span() const noexcept { return values_; }  ///< All of them.

 private:
  std::span<const float> values_;
};

/// Numbers that are written, of type T: a view of what `Inputs` takes.
template <class T>
class Outputs {
 public:
  /// `count` numbers from `values` on.
  constexpr Outputs(T* values, std::size_t count) noexcept : values_(values, count) {}
  /// Throws std::invalid_argument, naming the stride, if there are gaps between the numbers.
  template <detail::MutableNumbersOf<T> R>
  requires(!std::same_as<std::remove_cvref_t<R>, Outputs>) Outputs(R&& numbers)
      : values_(detail::first_number(numbers), detail::number_count(numbers)) {}

  std::size_t size() const noexcept { return values_.size(); }  ///< How many.
  T* data() const noexcept { return values_.data(); }           ///< The first.
  std::span<T> span() const noexcept { return values_; }        ///< All of them.

 private:
  std::span<T> values_;
};

/// Some of a number of cells, tokens, hidden states or columns: from `begin` on, up to `end`, which is cut to
/// that number. Threads that take disjoint ranges make the same bits as one that takes all.
struct Range {
  std::size_t begin = 0;                           ///< The first.
  std::size_t end = static_cast<std::size_t>(-1);  ///< The one after the last.

  /// The range within `count`. Throws std::out_of_range if it does not begin there; `what` are counted.
  Range within(std::size_t count, const char* what) const {
    if (begin > end || begin > count)
      detail::fail<std::out_of_range>(what, " ", begin, " to ", end, " are no range of ", count);
    return {begin, end < count ? end : count};
  }
  std::size_t size() const noexcept { return end - begin; }  ///< How many.
};

}  // namespace KRONECKER_NAMESPACE
