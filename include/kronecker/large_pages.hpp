#pragma once

/// Memory in large pages, where the system gives those that ask: an array of 100 MB that was just allocated
/// is then written in half the time, since the system clears it in 50 pages instead of 30,000.

#include <kronecker/namespace.hpp>

#include <cstddef>
#include <cstdint>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace KRONECKER_NAMESPACE::detail {

/// Asks that memory which is about to be written, and may just have been allocated, be had in large pages.
/// Does nothing on systems other than Linux, nor for less than 32 MB: smaller arrays often lie where others
/// were, and are there already, while making room for large pages can take 20 ms.
inline void ask_for_large_pages([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t size) noexcept {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t large_page = std::uintptr_t{2} << 20;
  if (size < 16 * large_page) return;
  const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t first = (begin + large_page - 1) / large_page * large_page;
  const std::uintptr_t end = (begin + size) / large_page * large_page;
  madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);  // a hint: failing is no error
#endif
}

}  // namespace KRONECKER_NAMESPACE::detail
