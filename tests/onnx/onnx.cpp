#include <onnx/checker.h>  // first: it has a name that is a macro of <sys/mman.h>

#include "catch.hpp"
#include "scratch.hpp"

#include <kronecker/integrations/onnx.hpp>

#include <cstring>
#include <fstream>
#include <map>

using kronecker::KroneckerEmbedding;
using kronecker::KroneckerEncoder;
using kronecker::LearnedProjection;
using kronecker::RowMajorMatrix;
using kronecker::TokenId;
using kronecker::Vocabulary;
using test_support::ScratchFolder;

namespace {

/// Tokens with an empty one, one that is truncated, and one of bytes that are not text.
KroneckerEmbedding<> make_embedding(kronecker::CodeOptions options = {}) {
  const KroneckerEncoder<256, 8> encoder(options);
  return {encoder, Vocabulary({"the", " quick", "", "\xFF\x01", " foxes and more"}),
          LearnedProjection::normal(12, encoder.code_dim(), 1)};
}

const onnx::TensorProto& constant(const onnx::ModelProto& model, const std::string& name) {
  for (const auto& tensor : model.graph().initializer())
    if (tensor.name() == name) return tensor;
  FAIL("there is no constant " << name);
  return model.graph().initializer(0);
}

template <class T>
std::vector<T> values(const onnx::TensorProto& tensor) {
  std::vector<T> found(tensor.raw_data().size() / sizeof(T));
  std::memcpy(found.data(), tensor.raw_data().data(), tensor.raw_data().size());
  return found;
}

/// What the graph computes for all tokens, by its constants.
template <class Stored>
RowMajorMatrix<float> compute(const onnx::ModelProto& model, Eigen::Index vocab_size, Eigen::Index d_model) {
  const auto slots = values<std::uint16_t>(constant(model, "token_slots"));
  const auto scales = values<float>(constant(model, "token_scales"));
  const auto rows = values<Stored>(constant(model, "rows"));
  const auto columns = std::is_same_v<Stored, std::int8_t> ? values<float>(constant(model, "column_scales"))
                                                           : std::vector<float>();
  const auto width = static_cast<std::size_t>(constant(model, "token_slots").dims(1));
  RowMajorMatrix<float> out = RowMajorMatrix<float>::Zero(vocab_size, d_model);
  for (Eigen::Index id = 0; id < vocab_size; ++id)
    for (Eigen::Index column = 0; column < d_model; ++column) {
      const auto i = static_cast<std::size_t>(id), j = static_cast<std::size_t>(column);
      float sum = 0;
      for (std::size_t p = 0; p < width; ++p)
        sum += static_cast<float>(rows[slots[i * width + p] * static_cast<std::size_t>(d_model) + j]);
      out(id, column) = sum * (columns.empty() ? scales[i] : scales[i] * columns[j]);
    }
  return out;
}

/// "Operator(inputs) output" of every node.
std::vector<std::string> nodes(const onnx::ModelProto& model) {
  std::vector<std::string> found;
  for (const auto& node : model.graph().node()) {
    std::string text = node.op_type();
    for (const auto& input : node.input()) (text += ' ') += input;
    found.push_back((text += " > ") += node.output(0));
  }
  return found;
}

}  // namespace

TEMPLATE_TEST_CASE("a model's constants and operators make the embeddings, bit for bit", "", float,
                   Eigen::half, std::int8_t) {
  for (const kronecker::CodeOptions options :
       {kronecker::CodeOptions{}, kronecker::CodeOptions{false, false}}) {
    const auto embedding = make_embedding(options).cast<TestType>();
    const onnx::ModelProto model = kronecker::to_onnx(embedding);
    onnx::checker::check_model(model);
    CHECK(compute<TestType>(model, 5, 12) == embedding.table());
  }
}

TEST_CASE("a model holds the lit rows and is documented") {
  const onnx::ModelProto model = kronecker::to_onnx(make_embedding());
  CHECK(model.opset_import(0).version() == 13);
  CHECK(nodes(model) ==
        std::vector<std::string>{"Gather token_slots input_ids > slots_16", "Cast slots_16 > slots",
                                 "Gather rows slots > lit_rows", "ReduceSum lit_rows position_axis > sums",
                                 "Gather token_scales input_ids > scales", "Mul sums scales > embeddings"});
  CHECK(nodes(kronecker::to_onnx(make_embedding().cast<std::int8_t>())) ==
        std::vector<std::string>{
            "Gather token_slots input_ids > slots_16", "Cast slots_16 > slots",
            "Gather rows slots > lit_rows", "Cast lit_rows > lit_rows_32",
            "ReduceSum lit_rows_32 position_axis > sums", "Gather token_scales input_ids > scales",
            "Mul scales column_scales > scales_of_columns", "Mul sums scales_of_columns > embeddings"});
  CHECK(constant(model, "rows").dims(0) == 3 + 6 + 2 + 7 + 1);  // of the 8 bytes of " foxes a", ' ' is shared
  CHECK(constant(model, "token_slots").dims(1) == 8);
  REQUIRE(model.graph().input_size() == 1);
  CHECK(model.graph().input(0).name() == "input_ids");
  CHECK(model.graph().input(0).type().tensor_type().elem_type() == onnx::TensorProto::INT64);
  CHECK(model.graph().output(0).name() == "embeddings");
  CHECK(model.graph().output(0).type().tensor_type().shape().dim(2).dim_value() == 12);
  std::map<std::string, std::string> metadata;
  for (const auto& entry : model.metadata_props()) metadata[entry.key()] = entry.value();
  CHECK(metadata["vocab_size"] == "5");
  CHECK(metadata["pos_dim"] == "8");
  CHECK(metadata["z_normalize"] == "true");
  CHECK(metadata["rows"] == "18 of 2048 are lit by a token and stored");
}

TEST_CASE("bfloat16 rows are stored as float32") {
  const auto embedding = make_embedding().cast<Eigen::bfloat16>();
  const onnx::ModelProto model = kronecker::to_onnx(embedding);
  CHECK(constant(model, "rows").data_type() == onnx::TensorProto::FLOAT);
  CHECK(compute<float>(model, 5, 12) == embedding.table());
}

TEST_CASE("a written model is read again, and one that cannot be written is reported") {
  const ScratchFolder folder("onnx");
  kronecker::export_onnx(folder / "e.onnx", make_embedding());
  std::ifstream file(folder / "e.onnx", std::ios::binary);
  onnx::ModelProto model;
  REQUIRE(model.ParseFromIstream(&file));
  CHECK(model.SerializeAsString() == kronecker::to_onnx(make_embedding()).SerializeAsString());
  CHECK_THROWS_AS(kronecker::export_onnx(folder / "absent" / "e.onnx", make_embedding()),
                  kronecker::FileError);
}
