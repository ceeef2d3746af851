#include "catch.hpp"
#include "random_model.hpp"
#include "scratch.hpp"
#include "session.hpp"

#include <kronecker/integrations/ggml.hpp>
#include <kronecker/vocabularies/gguf.hpp>

#include <ggml-backend.h>
#include <ggml-cpu.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#if __has_include(<sys/wait.h>)
#include <sys/wait.h>
#include <unistd.h>
#endif

using examples::LlamaModel;
using examples::LlamaSequence;
using examples::most_likely;
using kronecker::embedding_batch;
using kronecker::export_gguf;
using kronecker::GgmlType;
using kronecker::RowMajorMatrix;
using kronecker::TiedHead;
using kronecker::TokenId;
using kronecker::TokenOrBytes;
using llama_cpp_tests::ModelKind;
using test_support::ScratchFolder;

namespace {

using Encoder = kronecker::KroneckerEncoder<256, 16>;
using Embedding = kronecker::KroneckerEmbedding<>;
using Memory = std::unique_ptr<ggml_context, decltype(&ggml_free)>;

/// A random model, and an embedding of its vocabulary that has nothing to do with its table.
struct Model {
  explicit Model(const ModelKind& kind = {})
      : path(write(folder / "model.gguf", kind)),
        embedding(Encoder(), kronecker::load_gguf(path),
                  kronecker::LearnedProjection::normal(llama_cpp_tests::d_model, 256 * 16, 1)) {}

  ScratchFolder folder{"llama_cpp"};
  std::filesystem::path path;
  Embedding embedding;

 private:
  static std::filesystem::path write(const std::filesystem::path& path, const ModelKind& kind) {
    llama_cpp_tests::write_random_model(path, kind);
    return path;
  }
};

const std::vector<std::string> prompts = {"The quick brown fox", "In the beginning, there was",
                                          "Computers compute \xE2\x82\xAC 42"};

/// 16 tokens after a prompt, the most likely one each time.
std::vector<TokenId> greedy(
    const LlamaModel& model, const std::string& prompt,
    const std::function<std::span<const float>(LlamaSequence&, std::vector<TokenId>)>& read) {
  constexpr std::size_t count = 16;
  const std::vector<TokenId> ids = model.tokenize(prompt);
  LlamaSequence sequence(model, ids.size() + count);
  std::vector<TokenId> generated;
  std::span<const float> logits = read(sequence, ids);
  while (generated.size() < count) {
    generated.push_back(most_likely(logits));
    logits = read(sequence, {generated.back()});
  }
  return generated;
}

std::span<const float> read_ids(LlamaSequence& sequence, const std::vector<TokenId>& ids) {
  return sequence.read(std::span<const TokenId>(ids));
}

/// Vectors for a model of llama's architecture.
std::span<const float> read_vectors(LlamaSequence& sequence, const RowMajorMatrix<float>& vectors) {
  const int d_model = static_cast<int>(vectors.cols());
  kronecker::EmbeddingBatch batch({d_model, d_model}, static_cast<std::size_t>(vectors.rows()),
                                  sequence.next());
  std::copy_n(vectors.data(), vectors.size(), batch->embd);
  return sequence.read(batch);
}

std::vector<float> copy_of(std::span<const float> logits) { return {logits.begin(), logits.end()}; }

/// Whether the installed llama.cpp has an architecture; says so if not.
bool is_known(const ModelKind& kind) {
  static const std::filesystem::path folder = [] {
    static const ScratchFolder scratch("llama_cpp_known");
    return scratch / "";
  }();
  const std::filesystem::path path = folder / "model.gguf";
  llama_cpp_tests::write_random_model(path, kind);
  try {
    const LlamaModel model(path);
    return true;
  } catch (const kronecker::FileError& error) {
    if (std::string(error.what()).find("unknown model architecture") == std::string::npos) throw;
    WARN("this llama.cpp does not have " << kind.architecture);
    return false;
  }
}

/// What a graph with one embedding node computes in so many threads.
template <class Layer>
RowMajorMatrix<float> by_node(const Layer& embedding, const std::vector<TokenId>& ids, int threads) {
  const Memory memory(ggml_init({std::size_t{1} << 24, nullptr, false}), ggml_free);
  ggml_tensor* input = ggml_new_tensor_1d(memory.get(), GGML_TYPE_I32, static_cast<std::int64_t>(ids.size()));
  std::memcpy(input->data, ids.data(), ids.size() * sizeof(TokenId));
  ggml_tensor* output = kronecker::embedding_node(memory.get(), embedding, input);
  ggml_cgraph* graph = ggml_new_graph(memory.get());
  ggml_build_forward_expand(graph, output);
  REQUIRE(ggml_graph_compute_with_ctx(memory.get(), graph, threads) == GGML_STATUS_SUCCESS);
  return Eigen::Map<const RowMajorMatrix<float>>(static_cast<const float*>(output->data),
                                                 static_cast<Eigen::Index>(ids.size()), embedding.d_model());
}

/// A scheduler of one backend; later versions of ggml want to be told whether it may offload operations.
template <class... More>
ggml_backend_sched_t new_scheduler(ggml_backend_sched_t (*make)(ggml_backend_t*, ggml_backend_buffer_type_t*,
                                                                int, std::size_t, bool, More...),
                                   ggml_backend_t* backends) {
  return make(backends, nullptr, 1, 64, false, More{}...);
}

/// A GGUF file as ggml itself reads it.
class GgmlFile {
 public:
  explicit GgmlFile(const std::filesystem::path& path)
      : file_(gguf_init_from_file(path.string().c_str(), {/*no_alloc=*/false, &tensors_}), gguf_free) {
    REQUIRE(file_);
    memory_.reset(tensors_);
  }
  const gguf_context* get() const { return file_.get(); }
  const ggml_tensor* tensor(const char* name) const { return ggml_get_tensor(tensors_, name); }
  std::string_view data(const char* name) const {
    return {static_cast<const char*>(tensor(name)->data), ggml_nbytes(tensor(name))};
  }

 private:
  ggml_context* tensors_ = nullptr;
  std::unique_ptr<gguf_context, decltype(&gguf_free)> file_;
  Memory memory_{nullptr, ggml_free};
};

}  // namespace

TEST_CASE("greedy generation is the same by ids, by a batch of embeddings and by the graph node") {
  const Model model;
  export_gguf(model.folder / "exported.gguf", model.embedding, model.path);
  const LlamaModel with_table(model.folder / "exported.gguf");
  const LlamaModel other_table(model.path);  // whose own table would generate something else
  for (const std::string& prompt : prompts) {
    const auto by_ids = greedy(with_table, prompt, read_ids);
    CHECK(greedy(other_table, prompt, [&](LlamaSequence& sequence, const std::vector<TokenId>& ids) {
            return sequence.read(embedding_batch(other_table.get(), model.embedding, ids, sequence.next()));
          }) == by_ids);
    CHECK(greedy(other_table, prompt, [&](LlamaSequence& sequence, const std::vector<TokenId>& ids) {
            return read_vectors(sequence, by_node(model.embedding, ids, 2));
          }) == by_ids);
    CHECK(greedy(other_table, prompt, read_ids) != by_ids);
  }
}

TEST_CASE("logits from embeddings are those from the exported table, bit for bit, in every kind of model") {
  for (const ModelKind& kind : std::vector<ModelKind>{{"llama"},
                                                      {"qwen2vl"},
                                                      {"qwen3vl", false, /*deepstack=*/1},
                                                      {"gemma", /*is_tied=*/true},
                                                      {"gemma2", /*is_tied=*/true},
                                                      {"gemma3"},
                                                      {"gemma4"},
                                                      {"granite"},
                                                      {"minicpm"}}) {
    INFO(kind.architecture);
    if (!is_known(kind)) continue;
    // Those that do not know Gemma 3 end the program for a Gemma 2 of another size than the published ones.
    if (kind.architecture == "gemma2" && !is_known({"gemma3"})) continue;
    const Model model(kind);
    export_gguf(model.folder / "exported.gguf", model.embedding, model.path,
                {GgmlType::f32, TiedHead::new_table});
    const LlamaModel with_table(model.folder / "exported.gguf");
    // A tied head would differ with the table.
    const LlamaModel other_table(kind.is_tied ? model.folder / "exported.gguf" : model.path);
    const std::vector<TokenId> ids = with_table.tokenize(prompts[0]);
    LlamaSequence by_ids(with_table, 32), by_vectors(other_table, 32);
    const auto read_embeddings = [&](const std::vector<TokenId>& tokens) {
      return by_vectors.read(embedding_batch(other_table.get(), model.embedding, tokens, by_vectors.next()));
    };
    CHECK(copy_of(read_ids(by_ids, ids)) == copy_of(read_embeddings(ids)));
    CHECK(copy_of(read_ids(by_ids, {300, 7})) == copy_of(read_embeddings({300, 7})));
    CHECK(copy_of(read_ids(by_ids, {5})) == copy_of(read_embeddings({5})));
    const auto generate = [&](const LlamaModel& llama, const auto& read) {
      return greedy(llama, prompts[1], read);
    };
    CHECK(generate(with_table, read_ids) ==
          generate(other_table, [&](LlamaSequence& sequence, const std::vector<TokenId>& tokens) {
            return sequence.read(
                embedding_batch(other_table.get(), model.embedding, tokens, sequence.next()));
          }));
  }
}

TEST_CASE("how a model takes vectors is what it tells") {
  const auto input_of = [](const ModelKind& kind) {
    const Model model(kind);
    return kronecker::vector_input(LlamaModel(model.path).get());
  };
  const float root = std::sqrt(static_cast<float>(llama_cpp_tests::d_model));
  CHECK(input_of({"llama"}).positions == 1);
  CHECK(input_of({"llama"}).gain == 1);
  CHECK(input_of({"qwen2vl"}).positions == 4);
  CHECK(input_of({"granite"}).gain == 1);
  for (const char* architecture : {"gemma3", "gemma4", "gemma-embedding"})
    if (is_known({architecture})) CHECK(input_of({architecture}).gain == root);
  const ModelKind wide{"qwen3vl", false, /*deepstack=*/1};
  if (is_known(wide)) {
    CHECK(input_of(wide).positions == 4);
    CHECK(input_of(wide).d_model == llama_cpp_tests::d_model);
    CHECK(input_of(wide).row_size == 2 * llama_cpp_tests::d_model);
  }
  const ModelKind with_more_tables{"gemma4", false, 0, /*per_layer_width=*/32};
  if (is_known(with_more_tables))
    CHECK(message_of<std::invalid_argument>([&] { input_of(with_more_tables); }) ==
          "a model of architecture 'gemma4' cannot be given embeddings alone: it has a table for each layer "
          "too, which takes ids");
}

TEST_CASE("an embedding of another d_model than the model's is refused") {
  const Model model;
  const LlamaModel llama(model.path);
  const Embedding narrow(Encoder(), kronecker::Vocabulary({"a"}),
                         kronecker::LearnedProjection::normal(64, 256 * 16, 1));
  CHECK(message_of<std::invalid_argument>([&] { embedding_batch(llama.get(), narrow, {0}); }) ==
        "the embedding has d_model 64, the model 128");
}

TEST_CASE("a batch has as many positions as the model takes, and belongs to one sequence") {
  kronecker::EmbeddingBatch made({2, 3, 4}, 2, {.first_position = 7, .sequence = 5});
  const kronecker::EmbeddingBatch batch = std::move(made);
  const llama_batch& raw = batch.get();
  CHECK(raw.n_tokens == 2);
  CHECK(raw.token == nullptr);
  CHECK(std::vector<float>(raw.embd, raw.embd + 6) == std::vector<float>(6));
  CHECK(std::vector<llama_pos>(raw.pos, raw.pos + 8) == std::vector<llama_pos>{7, 8, 7, 8, 7, 8, 0, 0});
  for (int i = 0; i < 2; ++i) {
    CHECK(raw.n_seq_id[i] == 1);
    CHECK(raw.seq_id[i][0] == 5);
    CHECK(raw.logits[i] == i);
  }
}

#ifdef LLAMA_HAS_BATCH_EXT
TEST_CASE("an extended batch of embeddings gives the logits of the plain one") {
  for (const ModelKind& kind :
       std::vector<ModelKind>{{"llama"}, {"qwen2vl"}, {"qwen3vl", false, /*deepstack=*/1}, {"gemma3"}}) {
    INFO(kind.architecture);
    const Model model(kind);
    const LlamaModel llama(model.path);
    LlamaSequence plain(llama, 32), extended(llama, 32);
    const auto ids = llama.tokenize(prompts[0]);
    const auto batch = embedding_batch(llama.get(), model.embedding, ids, plain.next());
    const llama_batch_ext_ptr longer(llama_batch_ext_init(extended.context()));
    batch.add_to(longer.get());
    REQUIRE(llama_process(extended.context(), LLAMA_PROCESS_TYPE_DECODE, longer.get()) == 0);
    const float* logits = llama_get_logits_ith(extended.context(), -1);
    CHECK(copy_of(plain.read(batch)) == std::vector<float>(logits, logits + llama.vocab_size()));
    CHECK(message_of<std::runtime_error>([&] {
            for (int i = 0; i < 32; ++i) batch.add_to(longer.get());
          }).starts_with("the batch of llama.cpp did not take token "));
  }
}
#endif

TEST_CASE("an unseen word takes one position, and a string that is a token is that token") {
  const Model model;
  const LlamaModel llama(model.path);
  const auto logits_of = [&](const std::vector<TokenOrBytes>& input) {
    LlamaSequence sequence(llama, 16);
    return copy_of(sequence.read(embedding_batch(llama.get(), model.embedding, input)));
  };
  const TokenId the = llama.tokenize("the").back();
  CHECK(logits_of({1, the}) == logits_of({1, " the"}));
  CHECK(llama.tokenize("unfoxlike").size() > 2);
  CHECK(logits_of({1, " unfoxlike"}) != logits_of({1, " the"}));
}

TEST_CASE("ggml reads the exported file, with only the table changed") {
  const Model model;
  const RowMajorMatrix<float> table = model.embedding.table();
  const GgmlFile before(model.path);
  for (const GgmlType type : {GgmlType::f32, GgmlType::f16, GgmlType::q8_0, GgmlType::bf16}) {
    export_gguf(model.folder / "exported.gguf", model.embedding, model.path, {type});
    const GgmlFile after(model.folder / "exported.gguf");
    REQUIRE(gguf_get_n_kv(after.get()) == gguf_get_n_kv(before.get()));
    for (std::int64_t i = 0; i < gguf_get_n_kv(after.get()); ++i)
      CHECK(std::string(gguf_get_key(after.get(), i)) == gguf_get_key(before.get(), i));
    const auto metadata_of = [](const std::filesystem::path& path) {
      const std::string content = test_support::content_of(path);
      return content.substr(0, kronecker::parse_gguf_directory("file", content).metadata_end);
    };
    CHECK(metadata_of(model.folder / "exported.gguf") == metadata_of(model.path));
    REQUIRE(gguf_get_n_tensors(after.get()) == gguf_get_n_tensors(before.get()));
    for (std::int64_t i = 0; i < gguf_get_n_tensors(after.get()); ++i) {
      const char* name = gguf_get_tensor_name(before.get(), i);
      CHECK(std::string(gguf_get_tensor_name(after.get(), i)) == name);
      CHECK(ggml_are_same_shape(after.tensor(name), before.tensor(name)));
      if (std::string(name) == "token_embd.weight") continue;
      CHECK(after.tensor(name)->type == before.tensor(name)->type);
      CHECK(after.data(name) == before.data(name));
    }
    const auto ggml_type = static_cast<enum ggml_type>(type);
    REQUIRE(after.tensor("token_embd.weight")->type == ggml_type);
    const std::size_t row_size = ggml_row_size(ggml_type, llama_cpp_tests::d_model);
    std::string expected(row_size * static_cast<std::size_t>(table.rows()), '\0');
    if (type == GgmlType::f32)
      std::memcpy(expected.data(), table.data(), expected.size());
    else
      ggml_quantize_chunk(ggml_type, table.data(), expected.data(), 0, table.rows(), table.cols(), nullptr);
    CHECK(after.data("token_embd.weight") == expected);

    // A model with that table reads as one that is given its rows.
    const LlamaModel loaded(model.folder / "exported.gguf"), other_table(model.path);
    const std::vector<TokenId> ids = loaded.tokenize(prompts[0]);
    RowMajorMatrix<float> rows(static_cast<Eigen::Index>(ids.size()), table.cols());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const char* row = expected.data() + static_cast<std::size_t>(ids[i]) * row_size;
      float* to = rows.row(static_cast<Eigen::Index>(i)).data();
      if (type == GgmlType::f32)
        std::memcpy(to, row, row_size);
      else
        ggml_get_type_traits(ggml_type)->to_float(row, to, table.cols());
    }
    LlamaSequence by_ids(loaded, ids.size()), by_vectors(other_table, ids.size());
    const auto logits = read_ids(by_ids, ids), same_logits = read_vectors(by_vectors, rows);
    CHECK(std::equal(logits.begin(), logits.end(), same_logits.begin(), same_logits.end()));
  }
}

TEST_CASE("a table of a type that takes ggml's quantizer has ggml's bits") {
  const ScratchFolder folder("llama_cpp");
  constexpr int d_model = 256;
  const kronecker::KroneckerEmbedding<> embedding(kronecker::KroneckerEncoder<256, 8>(),
                                                  kronecker::Vocabulary({"a", " the", "", "\n"}),
                                                  kronecker::LearnedProjection::normal(d_model, 256 * 8, 1));
  const RowMajorMatrix<float> table = embedding.table();
  for (const auto type : {GGML_TYPE_Q4_0, GGML_TYPE_Q5_0, GGML_TYPE_Q4_K, GGML_TYPE_Q5_K, GGML_TYPE_Q6_K}) {
    const std::unique_ptr<gguf_context, decltype(&gguf_free)> file(gguf_init_empty(), gguf_free);
    const Memory memory(ggml_init({std::size_t{1} << 20, nullptr, false}), ggml_free);
    for (const char* name : {"token_embd.weight", "output.weight"}) {
      ggml_tensor* tensor = ggml_new_tensor_2d(memory.get(), type, d_model, table.rows());
      std::memset(tensor->data, 0, ggml_nbytes(tensor));
      ggml_set_name(tensor, name);
      gguf_add_tensor(file.get(), tensor);
    }
    REQUIRE(gguf_write_to_file(file.get(), (folder / "model.gguf").string().c_str(), /*only_meta=*/false));
    export_gguf(folder / "new.gguf", embedding, folder / "model.gguf",
                {.quantizer = kronecker::quantize_as_ggml});
    std::string expected(ggml_row_size(type, table.size()), '\0');
    ggml_quantize_chunk(type, table.data(), expected.data(), 0, table.rows(), d_model, nullptr);
    const GgmlFile after(folder / "new.gguf");
    CHECK(after.tensor("token_embd.weight")->type == type);
    CHECK(after.data("token_embd.weight") == expected);
  }
  CHECK(kronecker::ggml_can_quantize(GgmlType::q6_k));
  CHECK_FALSE(kronecker::ggml_can_quantize(GgmlType::iq1_s));
  CHECK_FALSE(kronecker::ggml_can_quantize(static_cast<GgmlType>(31)));
  CHECK_FALSE(kronecker::ggml_can_quantize(static_cast<GgmlType>(999)));
}

TEST_CASE("a model for vectors has no table to speak of, and generates the same") {
  const Model model;
  kronecker::GgufTableOptions options;
  options.for_vectors = true;
  export_gguf(model.folder / "small.gguf", model.embedding, model.path, options);
  const auto generated = [&](const LlamaModel& llama) {
    return greedy(llama, prompts[0], [&](LlamaSequence& sequence, const std::vector<TokenId>& ids) {
      return sequence.read(embedding_batch(llama.get(), model.embedding, ids, sequence.next()));
    });
  };
  CHECK(generated(LlamaModel(model.folder / "small.gguf")) == generated(LlamaModel(model.path)));
  CHECK(std::filesystem::file_size(model.folder / "small.gguf") <
        std::filesystem::file_size(model.path) - model.embedding.vocab_size() * 3 * llama_cpp_tests::d_model);
}

TEST_CASE("llama.cpp loads what is exported for architectures without a head of their own") {
  for (const char* architecture : {"gemma", "gemma2"}) {
    const Model model({architecture, /*is_tied=*/true});
    CHECK_THROWS_AS(export_gguf(model.folder / "new.gguf", model.embedding, model.path,
                                {std::nullopt, TiedHead::old_table}),
                    std::invalid_argument);
    export_gguf(model.folder / "new.gguf", model.embedding, model.path, {std::nullopt, TiedHead::new_table});
    const LlamaModel loaded(model.folder / "new.gguf");
    CHECK(loaded.vocab_size() == model.embedding.vocab_size());
  }
}

TEST_CASE("a tied model keeps its head if the old table becomes it, and gets a new one if not") {
  const Model model({"llama", /*is_tied=*/true});
  CHECK_THROWS_AS(export_gguf(model.folder / "new.gguf", model.embedding, model.path), std::invalid_argument);
  export_gguf(model.folder / "old_head.gguf", model.embedding, model.path,
              {GgmlType::f32, TiedHead::old_table});
  export_gguf(model.folder / "new_head.gguf", model.embedding, model.path,
              {GgmlType::f32, TiedHead::new_table});
  const LlamaModel tied(model.path), old_head(model.folder / "old_head.gguf"),
      new_head(model.folder / "new_head.gguf");
  for (const std::string& prompt : prompts) {
    const auto by_vectors =
        greedy(tied, prompt, [&](LlamaSequence& sequence, const std::vector<TokenId>& ids) {
          return read_vectors(sequence, model.embedding.forward(ids));
        });
    CHECK(greedy(old_head, prompt, read_ids) == by_vectors);
    CHECK(greedy(new_head, prompt, read_ids) != by_vectors);
  }
}

TEST_CASE(
    "the graph node has the bits of the forward pass with any number of threads and rows of every type") {
  const Model model;
  std::vector<TokenId> ids(777);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<TokenId>(i * 31 % 7900);
  for (const int threads : {1, 2, 8}) {
    CHECK(by_node(model.embedding, ids, threads) == model.embedding.forward(ids));
    const auto small = model.embedding.cast<std::int8_t>();
    CHECK(by_node(small, ids, threads) == small.forward(ids));
  }
  CHECK(by_node(model.embedding, {5}, 8) == model.embedding.forward({5}));
}

TEST_CASE("the graph node works in a scheduled graph, between other operations") {
  const Model model;
  const std::unique_ptr<ggml_backend, decltype(&ggml_backend_free)> backend(ggml_backend_cpu_init(),
                                                                            ggml_backend_free);
  ggml_backend_t backends[] = {backend.get()};
  const std::unique_ptr<ggml_backend_sched, decltype(&ggml_backend_sched_free)> scheduler(
      new_scheduler(ggml_backend_sched_new, backends), ggml_backend_sched_free);
  const Memory memory(ggml_init({std::size_t{1} << 20, nullptr, /*no_alloc=*/true}), ggml_free);
  const std::vector<TokenId> ids = {7, 300, 7900};
  ggml_tensor* input = ggml_new_tensor_1d(memory.get(), GGML_TYPE_I32, 3);
  ggml_set_input(input);
  ggml_tensor* output =
      ggml_scale(memory.get(), kronecker::embedding_node(memory.get(), model.embedding, input), 2);
  ggml_set_output(output);
  ggml_cgraph* graph = ggml_new_graph(memory.get());
  ggml_build_forward_expand(graph, output);
  REQUIRE(ggml_backend_sched_alloc_graph(scheduler.get(), graph));
  ggml_backend_tensor_set(input, ids.data(), 0, 3 * sizeof(TokenId));
  REQUIRE(ggml_backend_sched_graph_compute(scheduler.get(), graph) == GGML_STATUS_SUCCESS);
  RowMajorMatrix<float> found(3, llama_cpp_tests::d_model);
  ggml_backend_tensor_get(output, found.data(), 0, ggml_nbytes(output));
  CHECK(found == model.embedding.forward(ids) * 2);
}

TEST_CASE("ids that are no row of I32 are refused by the graph node") {
  const Model model;
  const Memory memory(ggml_init({std::size_t{1} << 20, nullptr, false}), ggml_free);
  const auto message = [&](ggml_tensor* ids) {
    return message_of<std::invalid_argument>(
        [&] { kronecker::embedding_node(memory.get(), model.embedding, ids); });
  };
  CHECK(message(ggml_new_tensor_1d(memory.get(), GGML_TYPE_F32, 3)) ==
        "the ids of an embedding node must be an I32 tensor (N), not f32 (3, 1, 1, 1)");
  CHECK(message(ggml_new_tensor_2d(memory.get(), GGML_TYPE_I32, 3, 2)) ==
        "the ids of an embedding node must be an I32 tensor (N), not i32 (3, 2, 1, 1)");
}

#if __has_include(<sys/wait.h>)
TEST_CASE("an id outside the vocabulary ends the program with a message") {
  const Model model;
  const std::string log = (model.folder / "log.txt").string();
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    setenv("GGML_NO_BACKTRACE", "1", 1);
    if (!std::freopen(log.c_str(), "w", stderr)) std::_Exit(1);
    std::setvbuf(stderr, nullptr, _IONBF, 0);
    by_node(model.embedding, {1, -3}, 1);
    std::_Exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGABRT);
  const std::string said = test_support::content_of(log);
  INFO(said);
  CHECK(said.find("token id -3 is outside the vocabulary of ") != said.npos);
}
#endif
