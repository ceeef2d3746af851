/// From text to embeddings, with everything that one may want to see on the way: tokens, bytes, lit cells,
/// parameters, time, neighbors and a picture. `embed_text --help` explains the options.

#include "code_picture.hpp"
#include "files.hpp"
#include "options.hpp"
#include "program.hpp"
#include "progress.hpp"
#include "shown.hpp"
#include "side_by_side.hpp"
#include "tokenizer.hpp"

#include <fmt/core.h>
#include <CLI/CLI.hpp>
#include <kronecker/analysis/accounting.hpp>
#include <kronecker/analysis/neighbors.hpp>
#include <kronecker/files/npy.hpp>
#include <kronecker/version.hpp>
#include <kronecker/vocabularies/sentencepiece.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <iostream>

namespace {

using examples::short_number;
using examples::shown;
using examples::shown_name;
using kronecker::RowMajorMatrix;
using kronecker::TokenId;
using Encoder = kronecker::DynamicEncoder;
using Embedding = kronecker::KroneckerEmbedding<float>;

struct Options {
  std::string text = EXAMPLE_DATA_DIR "/text.txt";
  std::string tokenizer = EXAMPLE_DATA_DIR "/english_8k.model";
  std::string projection;
  std::uint64_t seed = 1;
  int d_model = 768;
  int pos_dim = 16;
  std::size_t shown_tokens = 12;
  std::vector<std::string> words = {"government", "govermnent", "unfoxlike"};
  std::vector<std::string> drawn = {"compute", "computer", "commute"};
  std::filesystem::path output = "embed_text_output";
};

/// What output and errors call the text.
std::string name_of_text(const Options& options) {
  return options.text == "-" ? "standard input" : shown_name(options.text);
}

std::string read_text(const std::string& name) {
  if (name != "-") return examples::read_file(name);
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

kronecker::LearnedProjection make_projection(const Options& options, const Encoder& encoder) {
  if (options.projection.empty())
    return kronecker::LearnedProjection::normal(options.d_model, encoder.code_dim(), options.seed);
  const RowMajorMatrix<float> weight = kronecker::read_npy_matrix(options.projection);
  if (weight.rows() < 1 || weight.cols() != encoder.code_dim())
    throw kronecker::FileError(
        fmt::format("{}: expected an array of (d_model, {}), for pos_dim {}, found ({}, {})",
                    kronecker::shown_text(options.projection), encoder.code_dim(), encoder.pos_dim(),
                    weight.rows(), weight.cols()));
  return kronecker::LearnedProjection::from_torch(weight);
}

Embedding make_embedding(const Options& options, const Encoder& encoder,
                         const kronecker::Vocabulary& vocabulary) {
  const kronecker::LearnedProjection projection = make_projection(options, encoder);
  return examples::on_values_of(options.projection.empty() ? "the random projection" : options.projection,
                                [&] { return Embedding(encoder, vocabulary, projection); });
}

void print_tokens(const Encoder& encoder, const kronecker::Vocabulary& vocabulary,
                  const std::vector<TokenId>& ids, std::size_t count) {
  fmt::print("\nTokens: id, text, and the cells that its bytes light (byte value * {} + position)\n",
             encoder.pos_dim());
  for (std::size_t i = 0; i < std::min(count, ids.size()); ++i) {
    const std::string_view token = vocabulary.bytes(ids[i]);
    const std::string_view bytes = encoder.truncate(token);
    fmt::print("  {:>6}  {:<14}", ids[i], shown(token));
    const std::vector<int> cells = encoder.cells(token);
    for (std::size_t p = 0; p < bytes.size(); ++p)
      fmt::print("  {}:{}", examples::shown_byte(static_cast<unsigned char>(bytes[p])), cells[p]);
    fmt::print("\n");
  }
  if (ids.size() > count) fmt::print("  ... and {} more\n", ids.size() - count);
}

/// Writes the embeddings of all tokens, a window at a time: they may be larger than memory.
void write_embeddings(const std::filesystem::path& path, const Embedding& embedding,
                      const std::vector<TokenId>& ids) {
  constexpr std::size_t window = 4096;
  const auto d_model = static_cast<std::size_t>(embedding.d_model());
  std::vector<float> embeddings(window * d_model);
  examples::Progress progress("embedding", ids.size());
  std::size_t done = 0;
  kronecker::write_npy_in_parts<float>(path, std::array{ids.size(), d_model}, [&] {
    const auto next = std::span(ids).subspan(done, std::min(window, ids.size() - done));
    const auto out = std::span(embeddings).first(next.size() * d_model);
    embedding.forward(next, out);
    done += next.size();
    progress.update(done);
    return out;
  });
  fmt::print("\nEmbeddings: {} x {} float32 written to {}\n", ids.size(), d_model, shown_name(path.string()));
}

void print_cost_row(const std::string& name, const kronecker::EmbeddingSizes& sizes) {
  const kronecker::Accounting costs = kronecker::account(sizes);
  const auto shown_count = [](std::uint64_t count) { return short_number(static_cast<double>(count)); };
  fmt::print("  {:<28} {:>7} -> {:>6}  ({:+.2f} %)   {:>7}B -> {:>6}B + {}B\n", name,
             shown_count(costs.input_parameters.table), shown_count(costs.input_parameters.kronecker),
             -costs.input_parameters.saved_percent(), shown_count(costs.input_memory.table),
             shown_count(costs.input_memory.kronecker - costs.token_bytes_memory),
             shown_count(costs.token_bytes_memory));
}

void print_costs(const Embedding& embedding) {
  fmt::print(
      "\nInput parameters, table -> projection; memory as float32, table -> projection + token bytes\n");
  print_cost_row(fmt::format("this vocabulary, V {}", embedding.vocab_size()),
                 {embedding.vocab_size(), embedding.d_model(), embedding.encoder().pos_dim()});
  print_cost_row("GPT-2 124M, V 50257", {50257, 768, 16});
  print_cost_row("production, V 131072", {131072, 4096, 32});
}

void print_times(const Embedding& embedding, const std::vector<TokenId>& ids) {
  const RowMajorMatrix<float> table = embedding.table();
  const std::size_t window = std::min<std::size_t>(64, ids.size());
  const auto d_model = static_cast<std::size_t>(embedding.d_model());
  std::vector<float> copied(window * d_model), embedded(window * d_model);
  const auto ids_of = [&](std::size_t piece) {
    return std::span(ids).subspan(piece * window % (ids.size() - window + 1), window);
  };
  const auto copy_rows = [&](std::size_t piece) {
    float* out = copied.data();
    for (const TokenId id : ids_of(piece)) {
      std::memcpy(out, table.row(id).data(), d_model * sizeof(float));
      out += d_model;
    }
  };
  const auto forward = [&](std::size_t piece) { embedding.forward(ids_of(piece), embedded); };
  copy_rows(0);
  forward(0);
  if (copied != embedded) throw std::logic_error("the forward pass disagrees with the table");

  constexpr std::size_t pieces = 2000;
  const auto seconds = benchmarks::time_side_by_side({copy_rows, forward}, pieces);
  const double nanoseconds_per_token = 1e9 / static_cast<double>(window);
  fmt::print(
      "\nTime per token, {} ids at a time, one thread: table lookup {:.0f} ns, Kronecker {:.0f} ns (x "
      "{:.2f})\n",
      window, benchmarks::median(seconds[0]) * nanoseconds_per_token,
      benchmarks::median(seconds[1]) * nanoseconds_per_token,
      benchmarks::median_ratio(seconds[1], seconds[0]));
}

/// 0 if either is the zero vector.
float cosine_of(const Eigen::VectorXf& a, const Eigen::VectorXf& b) {
  const float norms = a.norm() * b.norm();
  return norms > 0 ? a.dot(b) / norms : 0;
}

void print_neighbors(const Embedding& embedding, const kronecker::Vocabulary& vocabulary,
                     const std::vector<std::string>& words) {
  const kronecker::KroneckerEncoder<> encoder;
  const kronecker::TokenBytes token_bytes(vocabulary, encoder);
  fmt::print(
      "\nNearest tokens, by the cosine of the codes at pos_dim 32 (in brackets: of the embeddings above)\n");
  for (const std::string& word : words) {
    const std::string in_text = " " + word;  // inside a text, a word comes with the space before it
    fmt::print("  {:<14}{}", shown(in_text), vocabulary.find(in_text) ? "" : " (no token)");
    const Eigen::VectorXf embedded = embedding.embed(in_text);
    for (const auto& [id, cosine] : kronecker::nearest_tokens(token_bytes, encoder, in_text, 5).tokens) {
      fmt::print("  {} {:.3f} ({:.3f})", shown(vocabulary.bytes(id)), cosine,
                 cosine_of(embedded, embedding.embed(vocabulary.bytes(id))));
    }
    fmt::print("\n");
  }
}

void print_published_pairs() {
  const kronecker::KroneckerEncoder<> encoder;
  fmt::print("\nPairs of words at pos_dim 32: here, and as published (arXiv 2605.29459)\n");
  fmt::print("  compute / computer {:.3f}  0.935\n", encoder.cosine("compute", "computer"));
  fmt::print("  compute / commute  {:.3f}  0.857\n", encoder.cosine("compute", "commute"));
}

int run(const Options& options) {
  const std::string text = read_text(options.text);
  if (text.empty()) throw kronecker::FileError(name_of_text(options) + ": there is no text to embed");
  const examples::Tokenizer tokenizer(options.tokenizer);
  const kronecker::Vocabulary vocabulary = kronecker::load_sentencepiece(options.tokenizer);
  const Encoder encoder(256, options.pos_dim);
  const Embedding embedding = make_embedding(options, encoder, vocabulary);
  examples::create_folder(options.output);
  const std::vector<TokenId> ids = tokenizer.encode(text);
  if (ids.empty())
    throw kronecker::FileError(name_of_text(options) + ": the tokenizer finds no token in the text");

  fmt::print("{}: {} bytes, {} tokens of {} ({} tokens, {} longer than {} bytes)\n", name_of_text(options),
             text.size(), ids.size(), shown_name(options.tokenizer), vocabulary.size(),
             embedding.truncated_tokens(), encoder.pos_dim());
  std::string spelled;
  for (const TokenId id : ids) spelled += vocabulary.bytes(id);
  if (spelled != text)
    fmt::print("note: this tokenizer changes the text: its tokens do not spell it byte for byte\n");

  print_tokens(encoder, vocabulary, ids, options.shown_tokens);
  write_embeddings(options.output / "embeddings.npy", embedding, ids);
  print_costs(embedding);
  print_times(embedding, ids);
  print_neighbors(embedding, vocabulary, options.words);
  print_published_pairs();
  embed_text::draw_codes(options.output / "codes.svg", encoder, options.drawn);
  fmt::print("\nPicture of the codes of");
  for (const std::string& word : options.drawn) fmt::print(" {}", shown(word));
  fmt::print(": {}\n", shown_name((options.output / "codes.svg").string()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Embeds a text with Kronecker embeddings and shows every step.", "embed_text");
  app.add_option("TEXT", options.text, "Text to embed: a file, or - for standard input")
      ->capture_default_str();
  app.add_option("--tokenizer", options.tokenizer, "SentencePiece BPE model")
      ->type_name("FILE")
      ->capture_default_str();
  auto* projection = app.add_option(
      "--projection", options.projection,
      "Learned weights, a .npy array of floats, (d_model, 256 * pos_dim); random if not given");
  projection->type_name("FILE");
  app.add_option("--seed", options.seed, "Seed of the random projection")
      ->type_name("NUMBER")
      ->transform(examples::whole_number())
      ->excludes(projection)
      ->capture_default_str();
  app.add_option("--d-model", options.d_model, "Width of the embeddings")
      ->type_name("NUMBER")
      ->transform(examples::whole_number(1, 65536))
      ->excludes(projection)
      ->capture_default_str();
  app.add_option("--pos-dim", options.pos_dim, "Bytes kept of a token")
      ->type_name("NUMBER")
      ->transform(examples::whole_number(1, 255))
      ->capture_default_str();
  app.add_option("--tokens", options.shown_tokens, "Number of tokens to print")
      ->type_name("NUMBER")
      ->transform(examples::whole_number())
      ->capture_default_str();
  app.add_option("--word", options.words, "Word to look up neighbors of; may be repeated")
      ->type_name("WORD")
      ->allow_extra_args(false)
      ->capture_default_str();
  app.add_option("--draw", options.drawn, "Word to draw the code of; may be repeated")
      ->type_name("WORD")
      ->allow_extra_args(false)
      ->capture_default_str();
  app.add_option("--output", options.output, "Folder for embeddings.npy and codes.svg")
      ->type_name("FOLDER")
      ->capture_default_str();
  app.set_version_flag("--version", fmt::format("kronecker {}.{}.{}", KRONECKER_VERSION_MAJOR,
                                                KRONECKER_VERSION_MINOR, KRONECKER_VERSION_PATCH));
  return examples::run_program(app, argc, argv, [&] { return run(options); });
}
