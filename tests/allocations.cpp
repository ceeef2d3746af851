/// Fails if a forward pass into a buffer allocates, or the halves of a head, or if a step of training copies
/// the rows: every way to get memory is counted, operator new and Eigen's own.

#include <cstdio>
#include <cstdlib>

#define EIGEN_RUNTIME_NO_MALLOC
#define eigen_assert(holds) ((holds) ? static_cast<void>(0) : std::abort())

#include <kronecker/head.hpp>
#include <kronecker/kronecker.hpp>
#include <kronecker/training/training.hpp>

#include <cstdint>
#include <new>
#include <string>
#include <vector>

// GCC sees malloc and free behind the operators that it is about to inline.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace {
int allocations = 0;
std::size_t largest_allocation = 0;

void count(std::size_t size) {
  ++allocations;
  if (size > largest_allocation) largest_allocation = size;
}
}  // namespace

void* operator new(std::size_t size) {
  count(size);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  count(size);
  const auto boundary = static_cast<std::size_t>(alignment);
  if (void* memory = std::aligned_alloc(boundary, (size + boundary - 1) / boundary * boundary)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

template <class Work>
int allocations_of(Work work) {
  const int before = allocations;
  Eigen::internal::set_is_malloc_allowed(false);
  work();
  Eigen::internal::set_is_malloc_allowed(true);
  return allocations - before;
}

template <class Scalar>
int allocations_of_calls(const kronecker::KroneckerEmbedding<Scalar>& embedding) {
  const auto d_model = static_cast<std::size_t>(embedding.d_model());
  std::vector<kronecker::TokenId> ids(3000, 1);  // enough to be streamed
  ids[7] = 0;
  const std::vector<std::int64_t> wide_ids(ids.begin(), ids.end());
  const std::vector<kronecker::TokenOrBytes> mixed = {1, " unseen", 0};
  std::vector<float> out(ids.size() * d_model);
  std::vector<Eigen::bfloat16> out_of_16_bits(out.size());
  const kronecker::KroneckerHead head(embedding);
  std::vector<float> products(head.products_size(2)), logits(4);
  return allocations_of([&] {
    embedding.forward(ids, out);
    embedding.forward(wide_ids, out_of_16_bits, {.gain = 2, .accumulate = true});
    embedding.forward(mixed, std::span(out).first(3 * d_model));
    embedding.embed(" unseen", std::span(out).first(d_model));
    head.cell_products(embedding, std::span<const float>(out).first(2 * d_model), products);
    head.token_logits(products, logits);
    head.token_logits(products, {1, 0}, logits);
  });
}

// The largest piece of memory that a step takes, against the rows.
bool steps_without_copying(kronecker::KroneckerEmbedding<float>& embedding) {
  const kronecker::KroneckerHead head(embedding);
  kronecker::ProjectionGradient gradient(embedding);
  kronecker::AdamW optimizer(embedding);
  largest_allocation = 0;
  for (int step = 0; step < 3; ++step) optimizer.step(embedding, gradient);
  return largest_allocation > 0 && largest_allocation < embedding.rows().values().size();
}

}  // namespace

int main() {
  const kronecker::KroneckerEncoder<256, 16> encoder;
  kronecker::KroneckerEmbedding embedding(encoder, kronecker::Vocabulary({"", " token"}),
                                          kronecker::LearnedProjection::normal(520, encoder.code_dim(), 1));
  if (allocations == 0) return std::puts("allocations are not counted"), 1;
  const int found = allocations_of_calls(embedding) +
                    allocations_of_calls(embedding.cast<Eigen::bfloat16>()) +
                    allocations_of_calls(embedding.cast<Eigen::half>()) +
                    allocations_of_calls(embedding.cast<std::int8_t>());
  std::printf("%d allocations\n", found);
  const bool without_copying = steps_without_copying(embedding);
  if (!without_copying) std::puts("a step copies the rows");
  return found == 0 && without_copying ? 0 : 1;
}
