#include "catch.hpp"
#include "gguf_bytes.hpp"
#include "golden.hpp"
#include "scratch.hpp"

#include <kronecker/files/checkpoint.hpp>
#include <kronecker/files/gguf_matrix.hpp>

#include <cstring>

using kronecker::FileError;
using kronecker::read_gguf_matrix;
using kronecker::RowMajorMatrix;
using test_support::golden_matrix;
using test_support::golden_path;
using test_support::ScratchFolder;
namespace gguf = test_support::gguf;

namespace {

bool have_same_bits(const RowMajorMatrix<float>& a, const RowMajorMatrix<float>& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::memcmp(a.data(), b.data(), sizeof(float) * static_cast<std::size_t>(a.size())) == 0;
}

std::string gguf_matrix_message(const std::string& content, const std::string& name) {
  const ScratchFolder folder("gguf_matrix");
  const std::string path = (folder / "model.gguf").generic_string();
  test_support::write_content(path, content);
  const std::string what = message_of<FileError>([&] { read_gguf_matrix(path, name); });
  REQUIRE(what.starts_with(path + ": "));
  return what.substr(path.size() + 2);
}

}  // namespace

TEST_CASE("blocks of every type that is read stand for the numbers that gguf-py makes of them") {
  // golden/ggml_blocks: three rows of random blocks of each type, written and dequantized by gguf-py 0.19.
  const RowMajorMatrix<float> expected = golden_matrix("ggml_blocks.npy");
  const std::vector<std::string> types = {"f32",  "f16",  "bf16", "f64",  "q8_0",
                                          "q4_0", "q5_0", "q4_k", "q5_k", "q6_k"};
  REQUIRE(expected.rows() == 3 * static_cast<Eigen::Index>(types.size()));
  for (std::size_t i = 0; i < types.size(); ++i) {
    CAPTURE(types[i]);
    const auto found = read_gguf_matrix(golden_path("ggml_blocks.gguf"), types[i] + ".weight");
    CHECK(have_same_bits(found, expected.middleRows(3 * static_cast<Eigen::Index>(i), 3)));
  }
}

TEST_CASE("tables that llama.cpp quantized have the bits of its own dequantization") {
  const auto folder = std::filesystem::path(KRONECKER_DATA_DIR).parent_path() / "cases" / "gguf_tables";
  if (!std::filesystem::exists(folder)) WARN("skipped: no tables in " << folder);
  for (const std::string name : {"f16", "q4_k", "q8_0"})
    if (std::filesystem::exists(folder))
      CHECK(have_same_bits(kronecker::read_matrix(folder / (name + ".gguf"), "token_embd.weight"),
                           kronecker::read_npy_matrix(folder / (name + ".npy"))));
}

TEST_CASE(
    "a matrix of a GGUF model is found by a unique end of its name, and its rows are the outer dimension") {
  const ScratchFolder folder("gguf_matrix");
  const auto path = folder / "model.gguf";
  const std::string values = gguf::bytes(0x3f800000u) + gguf::bytes(0x40000000u) + gguf::bytes(0x40400000u) +
                             gguf::bytes(0x40800000u) + gguf::bytes(0x40a00000u) + gguf::bytes(0x40c00000u);
  test_support::write_content(path, gguf::model_file({}, {{"token_embd.weight", {3, 2}, 0, values},
                                                          {"output.weight", {2, 3}, 0, values}}));
  RowMajorMatrix<float> expected(2, 3);
  expected << 1, 2, 3, 4, 5, 6;
  CHECK(read_gguf_matrix(path) == expected);
  CHECK(kronecker::read_matrix(path, "token_embd.weight") == expected);
  CHECK(read_gguf_matrix(path, "output.weight").rows() == 3);
  CHECK(message_of<FileError>([&] { read_gguf_matrix(path, "weight"); }) ==
        path.generic_string() +
            ": 'weight' could be 'token_embd.weight' or 'output.weight': give the full name");
}

TEST_CASE("what is no matrix that can be read is refused, with what to do") {
  CHECK(gguf_matrix_message(gguf::model_file({}, {{"t", {256, 1}, 10, std::string(84, 'x')}}), "t") ==
        "tensor 't' is of ggml's type Q2_K; F32, F16, BF16, F64, Q8_0, Q4_0, Q5_0, Q4_K, Q5_K and Q6_K are "
        "read: make one of them with llama-quantize --allow-requantize MODEL.gguf NEW.gguf Q8_0");
  CHECK(gguf_matrix_message(gguf::model_file({}, {{"t", {256, 1}, 999, std::string(84, 'x')}}), "t")
            .starts_with("tensor 't' is of ggml's type type 999;"));
  CHECK(gguf_matrix_message(gguf::model_file({}, {{"t", {32}, 8, std::string(34, 'x')}}), "t") ==
        "tensor 't' has 1 dimension, not 2");
  CHECK(gguf_matrix_message(gguf::model_file({}, {{"t", {33, 1}, 8, std::string(34, 'x')}}), "t") ==
        "tensor 't' has rows of 33 values, not a multiple of the 32 in a block of its type");
  CHECK(gguf_matrix_message(gguf::model_file({}, {{"t", {32, 2}, 8, std::string(34, 'x')}}), "t") ==
        "tensor 't' takes 68 bytes and has 64 before the next one or the file's end");
  const std::uint64_t most = std::uint64_t{1} << 31;
  CHECK(gguf_matrix_message(gguf::model_file({}, {{"t", {0, most}, 8, ""}}), "t") ==
        "'t' is 2147483648 x 0: over the limit of 2147483647 rows or columns");
  CHECK(gguf_matrix_message(gguf::file({}), "t") == "a GGUF file without tensors: a vocabulary alone");
  CHECK(gguf_matrix_message(
            gguf::model_file({gguf::entry("split.count", gguf::u16, gguf::bytes(std::uint16_t{3}))},
                             {{"t", {1, 1}, 0, "abcd"}}),
            "token_embd.weight") ==
        "one of the 3 parts of a model, without a tensor 'token_embd.weight': give "
        "another, or merge them (llama-gguf-split --merge)");
  const gguf::Tensor one{"t", {1, 1}, 0, "abcd"};
  CHECK(gguf_matrix_message(gguf::model_file({}, {one, {"u", {1, 1}, 0, "abcd"}, one}), "t") ==
        "two tensors are named 't'");
}
