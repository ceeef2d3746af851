/// Fails if `forward(ids, out)` allocates: every way to get memory is counted, operator new and Eigen's own.

#include <cstdio>
#include <cstdlib>

#define EIGEN_RUNTIME_NO_MALLOC
#define eigen_assert(holds) ((holds) ? static_cast<void>(0) : std::abort())

#include <kronecker/kronecker.hpp>

#include <new>
#include <string>
#include <vector>

// GCC sees malloc and free behind the operators that it is about to inline.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace {
int allocations = 0;
}

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  ++allocations;
  const auto boundary = static_cast<std::size_t>(alignment);
  if (void* memory = std::aligned_alloc(boundary, (size + boundary - 1) / boundary * boundary)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

template <class Embedding>
int allocations_of_forward(const Embedding& embedding) {
  std::vector<kronecker::TokenId> ids(3000, 1);  // enough to be streamed
  ids[7] = 0;
  std::vector<float> out(ids.size() * static_cast<std::size_t>(embedding.d_model()));
  const int before = allocations;
  Eigen::internal::set_is_malloc_allowed(false);
  embedding.forward(ids, out);
  embedding.forward(std::span(ids).first(1), std::span(out).first(out.size() / ids.size()));
  Eigen::internal::set_is_malloc_allowed(true);
  return allocations - before;
}

}  // namespace

int main() {
  const kronecker::KroneckerEncoder<256, 16> encoder;
  const kronecker::KroneckerEmbedding embedding(
      encoder, kronecker::Vocabulary({"", " token"}),
      kronecker::LearnedProjection::normal(520, encoder.code_dim(), 1));
  if (allocations == 0) return std::puts("allocations are not counted"), 1;
  const int found = allocations_of_forward(embedding) +
                    allocations_of_forward(embedding.cast<Eigen::bfloat16>()) +
                    allocations_of_forward(embedding.cast<Eigen::half>()) +
                    allocations_of_forward(embedding.cast<std::int8_t>());
  std::printf("%d allocations\n", found);
  return found == 0 ? 0 : 1;
}
