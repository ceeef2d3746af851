/// Generates text with a GGUF model in llama.cpp whose embedding table is not used: its input comes from a
/// saved embedding. A word that the vocabulary does not have can be given as one position.
///     llama_generate MODEL.gguf [EMBEDDING.kron] --prompt TEXT --unseen WORD

#include "options.hpp"
#include "program.hpp"
#include "session.hpp"

#include <fmt/core.h>
#include <CLI/CLI.hpp>
#include <kronecker/files/model.hpp>
#include <kronecker/integrations/llama.hpp>

#include <cstddef>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace {

using kronecker::TokenId;
using kronecker::TokenOrBytes;

struct Options {
  std::string model, embedding, prompt = "The quick brown fox";
  std::vector<std::string> unseen;
  std::size_t tokens = 64;
  bool as_ids = false;
};

/// The first of the words in a text, at the place where it is; the longest of several. The text's end if
/// there is none.
std::pair<std::size_t, std::string_view> find_word(std::string_view text,
                                                   const std::vector<std::string>& words) {
  std::pair<std::size_t, std::string_view> first{text.size(), {}};
  for (const std::string& word : words) {
    const std::size_t at = text.find(word);
    if (at < first.first || (at == first.first && word.size() > first.second.size())) first = {at, word};
  }
  return first;
}

/// The prompt's tokens, with each of the unseen words at one position.
std::vector<TokenOrBytes> sequence_of(std::string_view prompt, const std::vector<std::string>& unseen,
                                      const examples::LlamaModel& model) {
  for (const std::string& word : unseen)
    if (prompt.find(word) == prompt.npos)
      throw std::invalid_argument(fmt::format("--unseen '{}' is not in the prompt", word));
  std::vector<TokenOrBytes> sequence;
  for (bool goes_on = false; !goes_on || !prompt.empty(); goes_on = true) {
    const auto [at, word] = find_word(prompt, unseen);
    if (!goes_on || at > 0)
      for (const TokenId id : model.tokenize(prompt.substr(0, at), goes_on)) sequence.push_back(id);
    if (!word.empty()) sequence.push_back(word);
    prompt.remove_prefix(at + word.size());
  }
  return sequence;
}

/// Prints the most likely tokens, one after the other; `read` feeds the model and returns its logits.
void generate(const Options& options, const examples::LlamaModel& model,
              const std::vector<TokenOrBytes>& prompt,
              const std::function<std::span<const float>(const std::vector<TokenOrBytes>&)>& read) {
  std::span<const float> logits = read(prompt);
  for (std::size_t i = 0; i < options.tokens; ++i) {
    const TokenId id = examples::most_likely(logits);
    if (model.is_end(id)) break;
    if (options.as_ids)
      fmt::print("{}\n", id);
    else
      fmt::print("{}", model.piece(id));
    std::fflush(stdout);
    if (i + 1 < options.tokens) logits = read({id});
  }
  if (!options.as_ids) fmt::print("\n");
}

/// With the table of the model itself, to compare.
void generate_with_table(const Options& options, const examples::LlamaModel& model) {
  const std::vector<TokenOrBytes> prompt = sequence_of(options.prompt, {}, model);
  examples::LlamaSequence sequence(model, prompt.size() + options.tokens);
  generate(options, model, prompt, [&](const std::vector<TokenOrBytes>& input) {
    std::vector<TokenId> ids;
    for (const TokenOrBytes& token : input) ids.push_back(std::get<TokenId>(token));
    return sequence.read(std::span<const TokenId>(ids));
  });
}

void generate_with(const kronecker::AnyEmbedding& embedding, const Options& options,
                   const examples::LlamaModel& model) {
  const auto [vocab_size, d_model] =
      std::visit([](const auto& any) { return std::pair(any.vocab_size(), any.d_model()); }, embedding);
  if (d_model != model.d_model() || vocab_size != model.vocab_size())
    throw std::invalid_argument(fmt::format("{} has {} tokens and d_model {}, but {} has {} and {}",
                                            options.embedding, vocab_size, d_model, options.model,
                                            model.vocab_size(), model.d_model()));
  const std::vector<TokenOrBytes> prompt = sequence_of(options.prompt, options.unseen, model);
  examples::LlamaSequence sequence(model, prompt.size() + options.tokens);
  generate(options, model, prompt, [&](const std::vector<TokenOrBytes>& input) {
    return sequence.read(std::visit(
        [&](const auto& any) { return kronecker::embedding_batch(model.get(), any, input, sequence.next()); },
        embedding));
  });
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App program("Generate text in llama.cpp without an embedding table.", "llama_generate");
  program.add_option("MODEL", options.model, "GGUF model")->type_name("FILE")->required();
  auto* embedding = program.add_option("EMBEDDING", options.embedding,
                                       "Saved embedding; without one, the model's own table is used");
  embedding->type_name("FILE");
  program.add_option("--prompt", options.prompt, "Text to go on from")
      ->type_name("TEXT")
      ->capture_default_str();
  program
      .add_option("--unseen", options.unseen,
                  "Word of the prompt that takes one position, whatever its tokens; may be repeated")
      ->type_name("WORD")
      ->allow_extra_args(false)
      ->needs(embedding)
      ->check(CLI::Validator([](std::string& word) { return word.empty() ? "it is empty" : ""; }, "WORD"));
  program.add_option("--tokens", options.tokens, "Number of tokens to generate")
      ->type_name("NUMBER")
      ->transform(examples::whole_number(1, 1 << 20))
      ->capture_default_str();
  program.add_flag("--ids", options.as_ids, "Print ids instead of text");
  return examples::run_program(program, argc, argv, [&] {
    const examples::LlamaModel model(options.model);
    if (options.embedding.empty())
      generate_with_table(options, model);
    else
      generate_with(kronecker::load_any(options.embedding), options, model);
    return 0;
  });
}
