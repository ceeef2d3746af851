/// Writes what scripts/check_onnx compares in ONNX Runtime: models with float32, float16 and int8 rows of
/// gpt2's vocabulary at pos_dim 16 and d_model 768 (of made-up tokens where that is absent), the embeddings
/// of all its tokens from each, and a model that gathers rows of the ordinary table.
///     onnx_cases FOLDER

#include "token_file.hpp"

#include <kronecker/integrations/onnx.hpp>

#include <filesystem>
#include <fstream>
#include <iostream>

namespace {

using Embedding = kronecker::KroneckerEmbedding<>;
namespace fs = std::filesystem;

kronecker::Vocabulary make_vocabulary() {
  const fs::path real = fs::path(KRONECKER_DATA_DIR) / "truth" / "gpt2.tokens.bin";
  if (fs::exists(real)) return kronecker::Vocabulary(test_support::read_token_file(real));
  std::vector<std::string> tokens;
  for (int i = 0; i < 50257; ++i) tokens.push_back(" word" + std::to_string(i * 7919));
  return kronecker::Vocabulary(std::move(tokens));
}

void write_floats(const fs::path& path, const kronecker::RowMajorMatrix<float>& matrix) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(matrix.data()),
             static_cast<std::streamsize>(static_cast<std::size_t>(matrix.size()) * sizeof(float)));
}

template <class Scalar>
void write_case(const fs::path& folder, const std::string& name, const Embedding& embedding) {
  const auto rounded = embedding.cast<Scalar>();
  kronecker::export_onnx(folder / (name + ".onnx"), rounded);
  write_floats(folder / (name + ".bin"), rounded.table());
}

void write_table_model(const fs::path& path, const kronecker::RowMajorMatrix<float>& table) {
  using onnx::TensorProto;
  onnx::ModelProto model;
  model.set_ir_version(kronecker::detail::onnx_ir_version);
  model.add_opset_import()->set_version(kronecker::detail::onnx_opset);
  onnx::GraphProto& proto = *model.mutable_graph();
  proto.set_name("table");
  kronecker::detail::describe(*proto.add_input(), "input_ids", TensorProto::INT64, {"batch", "sequence"});
  kronecker::detail::describe(*proto.add_output(), "embeddings", TensorProto::FLOAT, {"batch", "sequence"},
                              static_cast<int>(table.cols()));
  kronecker::detail::OnnxGraph graph(proto);
  graph.constant("table", TensorProto::FLOAT,
                 {static_cast<std::size_t>(table.rows()), static_cast<std::size_t>(table.cols())},
                 std::vector<float>(table.data(), table.data() + table.size()));
  graph.node("Gather", {"table", "input_ids"}, "embeddings");
  std::ofstream file(path, std::ios::binary);
  model.SerializeToOstream(&file);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const fs::path folder = argv[1];
  fs::create_directories(folder);
  const kronecker::KroneckerEncoder<256, 16> encoder;
  const Embedding embedding(encoder, make_vocabulary(),
                            kronecker::LearnedProjection::normal(768, encoder.code_dim(), 1));
  write_case<float>(folder, "F32", embedding);
  write_case<Eigen::half>(folder, "F16", embedding);
  write_case<std::int8_t>(folder, "I8", embedding);
  write_table_model(folder / "table.onnx", embedding.table());
  std::cout << embedding.vocab_size() << " " << embedding.d_model() << "\n";
}
