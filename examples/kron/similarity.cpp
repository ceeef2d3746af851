#include "report.hpp"
#include "saved_embedding.hpp"
#include "vocabulary_argument.hpp"

#include <kronecker/analysis/neighbors.hpp>
#include <kronecker/vocabularies/resized.hpp>

#include <algorithm>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kron {

/// kron neighbors: the tokens nearest to words, by their codes or by their embeddings.
class NearestTokens {
 public:
  explicit NearestTokens(CLI::App& tool)
      : parser_(tool.add_subcommand("neighbors",
                                    "Show the tokens whose codes, or embeddings, are nearest to words")) {
    parser_->add_option("TOKENS", subject_, "Tokenizer, for codes, or saved embedding, for embeddings")
        ->required();
    parser_->add_option("WORD", words_, "Words as they stand; inside a text most begin with a space")
        ->required();
    parser_
        ->add_option("--vocabulary", vocabulary_.path,
                     "Tokenizer of a saved embedding, whose own tokens may be cut")
        ->type_name("FILE");
    vocabulary_.add_reading(*parser_);
    pos_dim_option_ = add_pos_dim(*parser_, pos_dim_);
    parser_->add_option("--count", count_, "Number of tokens to show for each word")
        ->type_name("NUMBER")
        ->transform(examples::whole_number(1, 1000000))
        ->capture_default_str();
    add_json(*parser_, as_json_);
    parser_->footer(
        "examples:\n"
        "  kron neighbors tokenizer.json \" computer\"\n"
        "  kron neighbors embedding.kron --count 5 \" computer\" \" compute\"");
  }
  const CLI::App* parser() const { return parser_; }

  int run() {
    if (std::find(words_.begin(), words_.end(), "") != words_.end())
      throw std::invalid_argument("a WORD is empty: without bytes, nothing is near it");
    if (is_saved_embedding(subject_)) {
      report_embeddings();
      return 0;
    }
    if (!vocabulary_.path.empty())
      throw std::invalid_argument(
          fmt::format("--vocabulary is for a saved embedding, and {} is none", shown_name(subject_)));
    vocabulary_.path = subject_;
    report_codes(vocabulary_.load());
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

  void report_embeddings() const {
    if (pos_dim_option_->count() > 0)
      throw std::invalid_argument("--pos-dim is not for a saved embedding, which has its own");
    std::optional<kronecker::Vocabulary> vocabulary;
    if (vocabulary_.path.empty())
      vocabulary_.check_no_reading(subject_);
    else
      vocabulary = vocabulary_.load();
    const SavedEmbedding embedding(subject_);
    const kronecker::TokenBytes token_bytes = embedding.tokens();
    if (vocabulary && vocabulary->size() > token_bytes.size())
      throw std::invalid_argument(fmt::format("{} has {} tokens, more than the {} of {}",
                                              shown_name(vocabulary_.path), vocabulary->size(),
                                              token_bytes.size(), shown_name(subject_)));
    const kronecker::Vocabulary tokens =
        vocabulary ? kronecker::resized(*vocabulary, token_bytes.size()) : embedding.vocabulary();
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

  /// `found` are the nearest tokens of each word.
  void report(const std::vector<kronecker::Neighbors>& found, const kronecker::Vocabulary& vocabulary,
              const std::function<bool(const std::string&)>& is_token) const {
    ordered_json report = ordered_json::array();
    for (std::size_t i = 0; i < words_.size(); ++i) {
      const std::string& word = words_[i];
      const kronecker::Neighbors& nearest = found[i];
      if (!as_json_) print_row(examples::shown(word) + (is_token(word) ? "" : " (no token)"));
      ordered_json tokens = ordered_json::array();
      for (const auto& [id, cosine] : nearest.tokens) {
        if (!as_json_)
          print_row(fmt::format("  {:.4f}  {:>7}  {}", cosine, id, examples::shown(vocabulary.bytes(id))));
        tokens.push_back({{"id", id}, {"cosine", cosine}, {"bytes", json_bytes(vocabulary.bytes(id))}});
      }
      if (!as_json_ && nearest.tied_with_last > 0)
        fmt::print("  ... and {} more as near as the last one\n", nearest.tied_with_last);
      report.push_back(
          {{"word", json_bytes(word)}, {"tokens", tokens}, {"tied_with_last", nearest.tied_with_last}});
    }
    if (as_json_) print_json(report);
  }

  CLI::App* parser_;
  CLI::Option* pos_dim_option_;
  std::string subject_;
  std::vector<std::string> words_;
  VocabularyArgument vocabulary_;
  int pos_dim_ = default_pos_dim;
  int count_ = 10;
  bool as_json_ = false;
};

/// kron compare: two strings, byte by byte.
class Compare {
 public:
  explicit Compare(CLI::App& tool)
      : parser_(tool.add_subcommand("compare", "Compare the codes of two strings")) {
    parser_->add_option("A", a_, "A string")->type_name("TEXT")->required();
    parser_->add_option("B", b_, "Another")->type_name("TEXT")->required();
    add_pos_dim(*parser_, pos_dim_);
    add_json(*parser_, as_json_);
    parser_->footer("example:\n  kron compare compute computer");
  }
  const CLI::App* parser() const { return parser_; }

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
    print_text(0, fmt::format("cosine of {} and {} at pos_dim {}: {:.6f}", examples::shown(a_),
                              examples::shown(b_), pos_dim_, cosine));
    report_cut(a_, cells_a.size());
    report_cut(b_, cells_b.size());
    print_row("  position  byte:cell of the first and the second");
    const auto shown_cell = [&](const std::vector<int>& cells, std::size_t p) {
      return p < cells.size()
                 ? fmt::format("{}:{}", examples::shown_byte(static_cast<unsigned char>(cells[p] / pos_dim_)),
                               cells[p])
                 : std::string("-");
    };
    for (std::size_t p = 0; p < std::max(cells_a.size(), cells_b.size()); ++p) {
      const bool is_shared = p < cells_a.size() && p < cells_b.size() && cells_a[p] == cells_b[p];
      print_row(fmt::format("  {:>8}  {:<10} {:<10} {}", p, shown_cell(cells_a, p), shown_cell(cells_b, p),
                            is_shared ? "shared" : ""));
    }
    return 0;
  }

 private:
  /// Says if only a part of a string is compared.
  static void report_cut(const std::string& text, std::size_t kept) {
    if (kept < text.size())
      print_text(2, fmt::format("{} is cut to {} of its {} bytes", examples::shown(text), kept, text.size()));
  }

  CLI::App* parser_;
  std::string a_, b_;
  int pos_dim_ = default_pos_dim;
  bool as_json_ = false;
};

Command add_neighbors(CLI::App& tool) { return make_command<NearestTokens>(tool); }
Command add_compare(CLI::App& tool) { return make_command<Compare>(tool); }

}  // namespace kron
