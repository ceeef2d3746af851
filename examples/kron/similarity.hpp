#pragma once

#include "report.hpp"
#include "saved_embedding.hpp"

#include <kronecker/analysis/neighbors.hpp>
#include <kronecker/vocabularies/load.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kron {

/// kron neighbors: the tokens nearest to words, by their codes or by their embeddings.
class NearestTokens {
 public:
  explicit NearestTokens(CLI::App& tool)
      : command_(tool.add_subcommand("neighbors",
                                     "Show the tokens whose codes, or embeddings, are nearest to words")) {
    command_->add_option("WORD", words_, "Words as they stand; inside a text most begin with a space")
        ->type_name("WORD")
        ->required();
    add_vocabulary(*command_, vocabulary_);
    CLI::Option* pos_dim = add_pos_dim(*command_, pos_dim_);
    command_
        ->add_option(
            "--model", model_,
            "Saved embedding: compare embeddings, not codes; its own tokens' bytes are shown without "
            "--vocabulary")
        ->type_name("FILE")
        ->excludes(pos_dim);
    command_->add_option("--count", count_, "Number of tokens to show for each word")
        ->type_name("NUMBER")
        ->check(CLI::Range(1, 1000000))
        ->capture_default_str();
    add_json(*command_, as_json_);
  }
  const CLI::App* command() const { return command_; }

  int run() const {
    if (model_.empty() && vocabulary_.empty())
      throw std::invalid_argument("no tokens to look among: give --vocabulary or --model");
    std::optional<kronecker::Vocabulary> vocabulary;
    if (!vocabulary_.empty()) vocabulary = kronecker::load_vocabulary(vocabulary_);
    if (model_.empty())
      report_codes(*vocabulary);
    else
      report_embeddings(SavedEmbedding(model_), vocabulary);
    return 0;
  }

 private:
  void report_codes(const kronecker::Vocabulary& vocabulary) const {
    const Encoder encoder(256, pos_dim_);
    const kronecker::TokenBytes token_bytes(vocabulary, encoder);
    std::vector<kronecker::Neighbors> nearest;
    for (const std::string& word : words_)
      nearest.push_back(nearest_tokens(token_bytes, encoder, word, count_));
    report(nearest, vocabulary, [&](const std::string& word) { return vocabulary.find(word).has_value(); });
  }

  void report_embeddings(const SavedEmbedding& embedding,
                         const std::optional<kronecker::Vocabulary>& vocabulary) const {
    const kronecker::TokenBytes token_bytes = embedding.tokens();
    if (vocabulary && vocabulary->size() > token_bytes.size())
      throw std::invalid_argument(fmt::format("{} has {} tokens, more than the {} of {}", vocabulary_,
                                              vocabulary->size(), token_bytes.size(), model_));
    const kronecker::Vocabulary tokens =
        vocabulary ? padded(*vocabulary, token_bytes.size()) : tokens_of(token_bytes);
    const auto is_token = [&](const std::string& word) {  // whose tokens may be cut
      return tokens.find(vocabulary ? std::string_view(word) : embedding.encoder().truncate(word))
          .has_value();
    };
    std::vector<kronecker::Neighbors> nearest;
    embedding.visit_widened([&](const auto& widened) {
      for (const std::string& word : words_)
        nearest.push_back(nearest_tokens_projected(widened, word, count_));
    });
    report(nearest, tokens, is_token);
  }

  /// The bytes that an embedding has of its tokens.
  static kronecker::Vocabulary tokens_of(const kronecker::TokenBytes& token_bytes) {
    std::vector<std::string> tokens;
    for (std::size_t id = 0; id < token_bytes.lengths().size(); ++id)
      tokens.emplace_back(token_bytes.bytes_of(id));
    return kronecker::Vocabulary(std::move(tokens));
  }

  /// `found` are the nearest tokens of each word.
  void report(const std::vector<kronecker::Neighbors>& found, const kronecker::Vocabulary& vocabulary,
              const std::function<bool(const std::string&)>& is_token) const {
    ordered_json report = ordered_json::array();
    for (std::size_t i = 0; i < words_.size(); ++i) {
      const std::string& word = words_[i];
      const kronecker::Neighbors& nearest = found[i];
      if (!as_json_) fmt::print("{}{}\n", examples::shown(word), is_token(word) ? "" : " (no token)");
      ordered_json tokens = ordered_json::array();
      for (const auto& [id, cosine] : nearest.tokens) {
        if (!as_json_) fmt::print("  {:.4f}  {:>7}  {}\n", cosine, id, examples::shown(vocabulary.bytes(id)));
        tokens.push_back({{"id", id}, {"cosine", cosine}, {"bytes", json_bytes(vocabulary.bytes(id))}});
      }
      if (!as_json_ && nearest.tied_with_last > 0)
        fmt::print("  ... and {} more as near as the last one\n", nearest.tied_with_last);
      report.push_back(
          {{"word", json_bytes(word)}, {"tokens", tokens}, {"tied_with_last", nearest.tied_with_last}});
    }
    if (as_json_) print_json(report);
  }

  CLI::App* command_;
  std::vector<std::string> words_;
  std::string vocabulary_, model_;
  int pos_dim_ = 32;
  int count_ = 10;
  bool as_json_ = false;
};

/// kron compare: two strings, byte by byte.
class Compare {
 public:
  explicit Compare(CLI::App& tool)
      : command_(tool.add_subcommand("compare", "Compare the codes of two strings")) {
    command_->add_option("A", a_, "A string")->type_name("TEXT")->required();
    command_->add_option("B", b_, "Another")->type_name("TEXT")->required();
    add_pos_dim(*command_, pos_dim_);
    add_json(*command_, as_json_);
  }
  const CLI::App* command() const { return command_; }

  int run() const {
    const Encoder encoder(256, pos_dim_);
    const auto cells_a = encoder.cells(a_), cells_b = encoder.cells(b_);
    const float cosine = encoder.cosine(a_, b_);
    if (as_json_) {
      print_json({{"a", json_bytes(a_)},
                  {"b", json_bytes(b_)},
                  {"pos_dim", pos_dim_},
                  {"cosine", cosine},
                  {"cells_a", cells_a},
                  {"cells_b", cells_b}});
      return 0;
    }
    fmt::print("cosine of {} and {} at pos_dim {}: {:.6f}\n", examples::shown(a_), examples::shown(b_),
               pos_dim_, cosine);
    fmt::print("  position  byte:cell of the first and the second\n");
    const auto shown_cell = [&](const std::vector<int>& cells, std::size_t p) {
      return p < cells.size()
                 ? fmt::format("{}:{}", examples::shown_byte(static_cast<unsigned char>(cells[p] / pos_dim_)),
                               cells[p])
                 : std::string("-");
    };
    for (std::size_t p = 0; p < std::max(cells_a.size(), cells_b.size()); ++p) {
      const bool is_shared = p < cells_a.size() && p < cells_b.size() && cells_a[p] == cells_b[p];
      fmt::print("  {:>8}  {:<10} {:<10}{}\n", p, shown_cell(cells_a, p), shown_cell(cells_b, p),
                 is_shared ? " shared" : "");
    }
    return 0;
  }

 private:
  CLI::App* command_;
  std::string a_, b_;
  int pos_dim_ = 32;
  bool as_json_ = false;
};

}  // namespace kron
