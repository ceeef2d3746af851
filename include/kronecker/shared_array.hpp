#pragma once

/// How the large arrays of an embedding are held: read-only, and shared by reference count, so that copying
/// an embedding copies no weights.

#include <kronecker/namespace.hpp>

#include <algorithm>
#include <atomic>
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

/// An immutable array that its copies share. Any number of threads may read, copy and destroy arrays that
/// share their values.
template <class T>
class SharedArray {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  SharedArray() = default;
  /// Shares the values. Moving does so too, so that no array is left without them.
  SharedArray(const SharedArray& other) noexcept
      : owner_(other.owner_), values_(other.values_), size_(other.size_) {
    if (owner_) owner_->arrays.fetch_add(1, std::memory_order_relaxed);
  }
  /// Shares the values.
  SharedArray& operator=(const SharedArray& other) noexcept {
    SharedArray copy(other);
    std::swap(owner_, copy.owner_);
    std::swap(values_, copy.values_);
    std::swap(size_, copy.size_);
    return *this;
  }
  ~SharedArray() {
    if (owner_ && owner_->arrays.fetch_sub(1, std::memory_order_acq_rel) == 1) delete owner_;
  }

  /// `size` values that live in something else, a mapped file for example, which `values` keeps alive.
  SharedArray(std::shared_ptr<const T> values, std::size_t size)
      : owner_(new Owner{{1}, std::move(values), false}), values_(owner_->values.get()), size_(size) {}

  /// An array of `size` values, uninitialized until `fill(std::span<T>)` has written every one of them.
  /// Starts on a cache line. A large one asks Linux for huge pages: rows are read here and there, and with
  /// small pages finding them costs a fifth of the time.
  template <class Fill>
  static SharedArray make(std::size_t size, Fill&& fill) {
    SharedArray array;
    if (size == 0) return array;
    const std::size_t bytes = size * sizeof(T);
    const std::align_val_t alignment{bytes < huge_page ? cache_line : huge_page};
    auto* values = static_cast<T*>(::operator new(bytes, alignment));
#ifdef __linux__
    if (bytes >= huge_page) ::madvise(values, bytes, MADV_HUGEPAGE);  // or not, and all works as before
#endif
    std::shared_ptr<const T> owned(
        values, [alignment](const T* p) { ::operator delete(const_cast<T*>(p), alignment); });
    array.owner_ = new Owner{{1}, std::move(owned), true};
    array.values_ = values;
    array.size_ = size;
    std::forward<Fill>(fill)(std::span<T>(values, size));
    return array;
  }

  /// The values, to change them. Copies them first if another array shares them or they live in something
  /// else. What threads did with arrays that shared the values, and are gone, is done before.
  std::span<T> mutable_values() & {
    if (owner_ && !(owner_->may_change && owner_->arrays.load(std::memory_order_acquire) == 1))
      *this = make(size_, [this](std::span<T> copy) { std::copy_n(values_, copy.size(), copy.begin()); });
    return {const_cast<T*>(values_), size_};
  }

  std::size_t size() const noexcept { return size_; }  ///< Number of values.
  const T* data() const& noexcept { return values_; }  ///< The first value; null if there is none.
  std::span<const T> span() const& noexcept { return {values_, size_}; }  ///< All values.
  T operator[](std::size_t i) const noexcept { return values_[i]; }       ///< Value i, unchecked.
  const T* data() const&& = delete;
  std::span<const T> span() const&& = delete;

 private:
  static constexpr std::size_t cache_line = 64;
  static constexpr std::size_t huge_page = std::size_t{2} << 20;

  // std::shared_ptr counts too, but says how many there are without saying what they are done with.
  struct Owner {
    std::atomic<std::size_t> arrays;  // that share the values
    std::shared_ptr<const T> values;
    bool may_change;  // made by `make`
  };

  Owner* owner_ = nullptr;
  const T* values_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace KRONECKER_NAMESPACE
