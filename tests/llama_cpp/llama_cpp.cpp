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
using kronecker::export_gguf;
using kronecker::GgmlType;
using kronecker::RowMajorMatrix;
using kronecker::TiedHead;
using kronecker::TokenId;
using kronecker::TokenOrBytes;
using test_support::ScratchFolder;

namespace {

using Encoder = kronecker::KroneckerEncoder<256, 16>;
using Embedding = kronecker::KroneckerEmbedding<>;
using Memory = std::unique_ptr<ggml_context, decltype(&ggml_free)>;

/// A random model, and an embedding of its vocabulary that has nothing to do with its table.
struct Model {
  explicit Model(bool is_tied = false)
      : path(write(folder / "model.gguf", is_tied)),
        embedding(Encoder(), kronecker::load_gguf(path),
                  kronecker::LearnedProjection::normal(llama_cpp_tests::d_model, 256 * 16, 1)) {}

  ScratchFolder folder{"llama_cpp"};
  std::filesystem::path path;
  Embedding embedding;

 private:
  static std::filesystem::path write(const std::filesystem::path& path, bool is_tied) {
    llama_cpp_tests::write_random_model(path, is_tied);
    return path;
  }
};

const std::vector<std::string> prompts = {"The quick brown fox", "In the beginning, there was",
                                          "Computers compute \xE2\x82\xAC 42"};

/// 64 tokens after a prompt, the most likely one each time.
std::vector<TokenId> greedy(
    const LlamaModel& model, const std::string& prompt,
    const std::function<std::span<const float>(LlamaSequence&, std::vector<TokenId>)>& read) {
  constexpr std::size_t count = 64;
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

std::span<const float> read_vectors(LlamaSequence& sequence, const RowMajorMatrix<float>& vectors) {
  return sequence.read(std::span<const float>(vectors.data(), static_cast<std::size_t>(vectors.size())));
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
            std::vector<float> vectors(ids.size() * llama_cpp_tests::d_model);
            const std::vector<TokenOrBytes> input(ids.begin(), ids.end());
            kronecker::fill_embeddings(model.embedding, input, vectors.data());
            return sequence.read(std::span<const float>(vectors));
          }) == by_ids);
    CHECK(greedy(other_table, prompt, [&](LlamaSequence& sequence, const std::vector<TokenId>& ids) {
            return read_vectors(sequence, by_node(model.embedding, ids, 2));
          }) == by_ids);
    CHECK(greedy(other_table, prompt, read_ids) != by_ids);
  }
}

TEST_CASE("logits from embeddings are those from the exported table, bit for bit") {
  const Model model;
  export_gguf(model.folder / "exported.gguf", model.embedding, model.path);
  const LlamaModel with_table(model.folder / "exported.gguf"), other_table(model.path);
  const std::vector<TokenId> ids = with_table.tokenize(prompts[0]);
  LlamaSequence by_ids(with_table, ids.size()), by_vectors(other_table, ids.size());
  const auto expected = read_ids(by_ids, ids), found = read_vectors(by_vectors, model.embedding.forward(ids));
  CHECK(std::equal(expected.begin(), expected.end(), found.begin(), found.end()));
}

TEST_CASE("an unseen word takes one position, and a string that is a token is that token") {
  const Model model;
  const LlamaModel llama(model.path);
  const auto logits_of = [&](const std::vector<TokenOrBytes>& input) {
    LlamaSequence sequence(llama, 16);
    std::vector<float> vectors(input.size() * llama_cpp_tests::d_model);
    kronecker::fill_embeddings(model.embedding, input, vectors.data());
    const auto logits = sequence.read(std::span<const float>(vectors));
    return std::vector<float>(logits.begin(), logits.end());
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

TEST_CASE("a tied model keeps its head if the old table becomes it, and gets a new one if not") {
  const Model model(/*is_tied=*/true);
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
      ggml_backend_sched_new(backends, nullptr, 1, 64, false, false), ggml_backend_sched_free);
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
