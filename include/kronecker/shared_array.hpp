#pragma once

/// How the large arrays of an embedding are held: read-only, and shared by reference count, so that copying
/// an embedding copies no weights.

#include <kronecker/namespace.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace KRONECKER_NAMESPACE {

/// An immutable array that its copies share.
template <class T>
class SharedArray {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  SharedArray() = default;
  /// Shares the values. Moving does so too, so that no array is left without them.
  SharedArray(const SharedArray&) = default;
  SharedArray& operator=(const SharedArray&) = default;  ///< Shares the values.

  /// `size` values that live in something else, a mapped file for example, which `values` keeps alive.
  SharedArray(std::shared_ptr<const T> values, std::size_t size) : values_(std::move(values)), size_(size) {}

  /// An array of `size` values, uninitialised until `fill(std::span<T>)` has written every one of them.
  /// Starts on a cache line. A large one asks Linux for huge pages: rows are read here and there, and with
  /// small pages finding them costs a fifth of the time.
  template <class Fill>
  static SharedArray make(std::size_t size, Fill&& fill) {
    SharedArray array;
    array.size_ = size;
    array.is_owner_ = true;
    if (size == 0) return array;
    const std::size_t bytes = size * sizeof(T);
    const std::align_val_t alignment{bytes < huge_page ? cache_line : huge_page};
    auto* values = static_cast<T*>(::operator new(bytes, alignment));
#ifdef __linux__
    if (bytes >= huge_page) ::madvise(values, bytes, MADV_HUGEPAGE);  // or not, and all works as before
#endif
    array.values_ = std::shared_ptr<const T>(
        values, [alignment](const T* p) { ::operator delete(const_cast<T*>(p), alignment); });
    std::forward<Fill>(fill)(std::span<T>(values, size));
    return array;
  }

  /// The values, to change them. Copies them first if another array shares them or they live in something
  /// else.
  std::span<T> values_to_change() {
    if (!is_owner_ || values_.use_count() != 1)
      *this = make(size_, [this](std::span<T> copy) { std::copy_n(data(), copy.size(), copy.begin()); });
    return {const_cast<T*>(values_.get()), size_};
  }

  std::size_t size() const noexcept { return size_; }       ///< Number of values.
  const T* data() const noexcept { return values_.get(); }  ///< The first value; null if there is none.
  std::span<const T> span() const noexcept { return {data(), size_}; }     ///< All values.
  const T& operator[](std::size_t i) const noexcept { return data()[i]; }  ///< Value i, unchecked.

 private:
  static constexpr std::size_t cache_line = 64;
  static constexpr std::size_t huge_page = std::size_t{2} << 20;

  std::shared_ptr<const T> values_;
  std::size_t size_ = 0;
  bool is_owner_ = false;  // whether the values are made by `make`, and may be changed
};

}  // namespace KRONECKER_NAMESPACE
