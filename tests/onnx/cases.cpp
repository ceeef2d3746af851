/// Writes what scripts/check_onnx and benchmarks/onnx_runtime.py run in ONNX Runtime: models of a real
/// vocabulary (of made-up tokens where that is absent) with random weights, `TYPE.FORM.onnx`. The table's
/// model has the library's own bits, which the others are compared with.
///     onnx_cases FOLDER VOCABULARY POS_DIM D_MODEL [TYPE...]

#include "token_file.hpp"

#include <kronecker/integrations/onnx.hpp>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

namespace {

using Embedding = kronecker::KroneckerEmbedding<>;
using kronecker::OnnxIds;
namespace fs = std::filesystem;

kronecker::Vocabulary make_vocabulary(const std::string& name) {
  const fs::path real = fs::path(KRONECKER_DATA_DIR) / "truth" / (name + ".tokens.bin");
  if (fs::exists(real)) return kronecker::Vocabulary(test_support::read_token_file(real));
  std::vector<std::string> tokens;
  for (int i = 0; i < 50257; ++i) tokens.push_back(" word" + std::to_string(i * 7919));
  return kronecker::Vocabulary(std::move(tokens));
}

template <class Scalar>
void write_forms(const fs::path& folder, const std::string& type, const Embedding& embedding) {
  const auto rounded = embedding.cast<Scalar>();
  kronecker::OnnxOptions chunks;
  if (type == "F16") chunks.ids = OnnxIds::int32;
  const auto path = [&](const char* form) { return folder / (type + "." + form + ".onnx"); };
  kronecker::export_onnx(path("table"), rounded, {.is_table = true});
  kronecker::export_onnx(path("chunks"), rounded, chunks);
  kronecker::export_onnx(path("bytes"), rounded, {.max_size = 0});
  for (const int rank : {0, 1, 3}) {
    if (type != "I8") continue;
    chunks.rank = rank;
    kronecker::export_onnx(path(("chunks_rank_" + std::to_string(rank)).c_str()), rounded, chunks);
  }
}

/// Rounded codes, rows of their own for three tokens, and a norm.
Embedding with_everything(const Embedding& embedding) {
  const auto& exact = embedding.encoder();
  const kronecker::DynamicEncoder encoder(exact.char_dim(), exact.pos_dim(),
                                          {.rounding = kronecker::CodeRounding::bfloat16});
  const kronecker::ProjectionRows<float> rows(embedding.projection(), false);
  const auto own = kronecker::LearnedProjection::normal(embedding.d_model(), 3, 2);
  const std::vector<float> weight(static_cast<std::size_t>(embedding.d_model()), 0.5f);
  return Embedding(encoder, embedding.token_bytes(), rows)
      .with_own_rows({0, 464, embedding.vocab_size() - 1}, own.weights().span())
      .with_norm(weight, 1e-6f);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 4) return 2;
  const fs::path folder = arguments[0];
  fs::create_directories(folder);
  const int pos_dim = std::stoi(arguments[2]), d_model = std::stoi(arguments[3]);
  const kronecker::DynamicEncoder encoder(256, pos_dim);
  const Embedding embedding(encoder, make_vocabulary(arguments[1]),
                            kronecker::LearnedProjection::normal(d_model, encoder.code_dim(), 1));
  const auto is_asked_for = [&](const char* type) {
    return arguments.size() == 4 ||
           std::find(arguments.begin() + 4, arguments.end(), type) != arguments.end();
  };
  if (is_asked_for("F32")) write_forms<float>(folder, "F32", embedding);
  if (is_asked_for("F16")) write_forms<Eigen::half>(folder, "F16", embedding);
  if (is_asked_for("I8")) write_forms<std::int8_t>(folder, "I8", embedding);

  if (is_asked_for("rounded")) write_forms<float>(folder, "rounded", with_everything(embedding));
  if (is_asked_for("rounded_I8")) write_forms<std::int8_t>(folder, "rounded_I8", with_everything(embedding));
  std::cout << embedding.vocab_size() << " " << embedding.d_model() << "\n";
}
