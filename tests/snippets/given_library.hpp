/// What the snippets of the library itself take as given.

#include <kronecker/kronecker.hpp>

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <vector>

extern const kronecker::KroneckerEncoder<256, 16> encoder;
extern const kronecker::Vocabulary vocabulary, other;
extern const kronecker::LearnedProjection projection;
extern kronecker::KroneckerEmbedding<float> embedding;
extern const std::vector<kronecker::TokenId> ids, targets;
extern const std::vector<std::uint64_t> token_counts;
extern std::vector<float> grad_hidden;
extern const Eigen::VectorXf hidden, vector;
extern const kronecker::RowMajorMatrix<float> grad_out, own_rows;

extern void* const device_memory;
void copy_to_device(void* to, const void* from, std::size_t bytes);
