#include "probe_report.hpp"
#include "report.hpp"
#include "saved_embedding.hpp"
#include "vocabulary_argument.hpp"
#include "weights_option.hpp"

#include <kronecker/analysis/nearest_rows.hpp>
#include <kronecker/analysis/spelling.hpp>
#include <kronecker/vocabularies/resized.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kron {

/// kron probe: the neighbors of words in a learned table beside those of the codes.
class Probe {
 public:
  explicit Probe(CLI::App& tool)
      : parser_(tool.add_subcommand("probe",
                                    "Show what is nearest to words in a learned table, beside what is by "
                                    "the codes, and how those tokens are spelled")) {
    parser_
        ->add_option(
            "TABLE", table_,
            "Learned table, (V, d_model): checkpoint (safetensors, the index of several, or GGUF) or "
            ".npy")
        ->type_name("FILE")
        ->required();
    parser_->add_option(
        "WORD", words_,
        "Words as they stand (else run, compute, commute, nation, import and code); what is no "
        "token is the mean of the rows of its parts, by greedy longest match");
    parser_->add_option("--name", name_, "Name of the tensor, or a unique end of it")
        ->type_name("NAME")
        ->capture_default_str();
    parser_->add_option("--vocabulary", vocabulary_.path, "Tokenizer file (else the GGUF model's own)")
        ->type_name("FILE");
    vocabulary_.add_reading(*parser_);
    parser_->add_option("--model", model_, "Saved embedding, to show beside both")->type_name("FILE");
    add_pos_dim(*parser_, pos_dim_);
    parser_->add_flag("--centered", is_centered_,
                      "Cosines of a table and an embedding about the mean of its rows");
    parser_
        ->add_option("--count", count_,
                     "Number of tokens to show and to count for each word, itself left out")
        ->type_name("NUMBER")
        ->transform(examples::whole_number(1, 1000))
        ->capture_default_str();
    parser_
        ->add_option("--sample", sample_,
                     "Number of words of the vocabulary to count for, spread evenly over its ids; 0: none")
        ->type_name("NUMBER")
        ->transform(examples::whole_number(0, 1000000))
        ->capture_default_str();
    parser_->add_option("--svg", svg_, "Also draw how the neighbors of the sample are spelled")
        ->type_name("FILE");
    add_json(*parser_, as_json_);
    parser_->footer(
        "examples:\n"
        "  kron probe model.safetensors --name wte.weight --vocabulary tokenizer.json\n"
        "  kron probe model.gguf --model embedding.kron --svg probe.svg \" compute\" \" commute\"");
  }
  const CLI::App* parser() const { return parser_; }

  int run() {
    if (!svg_.empty()) {
      check_output(svg_);
      check_replaces_none(svg_, {table_, vocabulary_.path, model_});
    }
    if (words_.empty()) words_ = {"run", "compute", "commute", "nation", "import", "code"};
    if (vocabulary_.path.empty() && kind_of_file(table_) == kronecker::FileKind::gguf)
      vocabulary_.path = table_;
    if (vocabulary_.path.empty())
      throw std::invalid_argument("--vocabulary is missing: whose tokens the rows are");
    Table table = read_weights(table_, name_);
    kronecker::Vocabulary vocabulary = vocabulary_.load();
    const auto ids = std::min(vocabulary.size(), static_cast<kronecker::TokenId>(table.rows()));
    if (kronecker::ordinary_tokens_from(vocabulary, ids) > 0)
      throw kronecker::FileError(fmt::format("{}: the table has {} rows, fewer than the {} tokens of {}",
                                             shown_name(table_), table.rows(), vocabulary.size(),
                                             shown_name(vocabulary_.path)));
    if (ids < vocabulary.size()) vocabulary = kronecker::resized(vocabulary, ids);
    table.conservativeResize(ids, Eigen::NoChange);

    ProbeReport report = begin_report(vocabulary);
    report.sides.push_back(probe_table("table", std::move(table), vocabulary, report));
    report.sides.push_back(probe_codes(vocabulary, report));
    if (!model_.empty())
      SavedEmbedding(model_).visit_widened([&](const auto& embedding) {
        report.sides.push_back(probe_embedding(embedding.with_vocabulary(vocabulary), vocabulary, report));
      });
    std::FILE* const to = examples::report_beside(svg_);
    if (!svg_.empty()) report.draw(svg_);
    if (as_json_)
      print_json(report.json(vocabulary), to);
    else
      report.print(vocabulary, to);
    return 0;
  }

 private:
  using Table = kronecker::RowMajorMatrix<float>;

  /// The words, the sample, and what there is to find.
  ProbeReport begin_report(const kronecker::Vocabulary& vocabulary) {
    ProbeReport report;
    report.words = words_;
    report.neighbors = static_cast<std::size_t>(count_);
    for (const std::string& word : words_) {
      std::string note;
      if (!vocabulary.find(word)) {
        for (const kronecker::TokenId part : parts_of(word, vocabulary))
          note += (note.empty() ? "no token: " : " + ") + examples::shown(vocabulary.bytes(part));
        if (note.empty()) note = "no token, nor made of any";
      }
      report.notes.push_back(note);
    }
    for (std::size_t a = 0; a < words_.size(); ++a)
      for (std::size_t b = a + 1; b < words_.size(); ++b)
        if (kronecker::is_one_edit_apart(kronecker::canonical_form(words_[a]),
                                         kronecker::canonical_form(words_[b])))
          report.pairs.push_back({a, b, {}});

    std::vector<kronecker::TokenId> words;
    std::map<std::string, std::size_t> tokens_of_form;
    for (kronecker::TokenId id = 0; id < vocabulary.size(); ++id) {
      if (is_word(vocabulary.bytes(id)) && !vocabulary.is_special(id)) words.push_back(id);
      ++tokens_of_form[kronecker::canonical_form(vocabulary.bytes(id))];
    }
    const std::size_t sampled = std::min(words.size(), static_cast<std::size_t>(sample_));
    for (std::size_t i = 0; i < sampled; ++i) sampled_.push_back(words[i * words.size() / sampled]);
    report.sampled = sampled;
    for (const kronecker::TokenId id : sampled_) {
      const std::size_t others = tokens_of_form[kronecker::canonical_form(vocabulary.bytes(id))] - 1;
      report.possible += static_cast<double>(std::min(others, report.neighbors)) /
                         static_cast<double>(sampled * report.neighbors);
    }
    return report;
  }

  /// Whether a token is at least four ASCII letters, a space before them or not.
  static bool is_word(std::string_view bytes) {
    constexpr std::size_t shortest = 4;
    if (bytes.starts_with(' ')) bytes.remove_prefix(1);
    return bytes.size() >= shortest && std::all_of(bytes.begin(), bytes.end(), [](char c) {
             return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
           });
  }

  /// The tokens of a string, by greedy longest match; none if it has a part that is no token.
  static std::vector<kronecker::TokenId> parts_of(std::string_view text,
                                                  const kronecker::Vocabulary& vocabulary) {
    std::vector<kronecker::TokenId> parts;
    while (!text.empty()) {
      std::size_t length = text.size();
      while (length > 0 && !vocabulary.find(text.substr(0, length))) --length;
      if (length == 0) return {};
      parts.push_back(*vocabulary.find(text.substr(0, length)));
      text.remove_prefix(length);
    }
    return parts;
  }

  ProbeSide probe_table(std::string name, Table table, const kronecker::Vocabulary& vocabulary,
                        ProbeReport& report) const {
    Table words = Table::Zero(static_cast<Eigen::Index>(words_.size()), table.cols());
    for (std::size_t i = 0; i < words_.size(); ++i) {
      const std::vector<kronecker::TokenId> parts = parts_of(words_[i], vocabulary);
      for (const kronecker::TokenId part : parts)
        words.row(static_cast<Eigen::Index>(i)) += table.row(part) / static_cast<float>(parts.size());
    }
    return probe_rows(std::move(name), std::move(table), words, vocabulary, report);
  }

  template <class Embedding>
  ProbeSide probe_embedding(const Embedding& embedding, const kronecker::Vocabulary& vocabulary,
                            ProbeReport& report) const {
    const std::vector<kronecker::TokenOrBytes> words(words_.begin(), words_.end());
    return probe_rows("embedding", embedding.table(), embedding.forward(words), vocabulary, report);
  }

  /// The neighbors among the rows of `table` of the vectors of the words, and of the sample.
  ProbeSide probe_rows(std::string name, Table table, const Table& words,
                       const kronecker::Vocabulary& vocabulary, ProbeReport& report) const {
    Table sample(static_cast<Eigen::Index>(sampled_.size()), table.cols());
    for (std::size_t i = 0; i < sampled_.size(); ++i)
      sample.row(static_cast<Eigen::Index>(i)) = table.row(sampled_[i]);
    const kronecker::NearestRows rows =
        on_values_of(table_, [&] { return kronecker::NearestRows(std::move(table), is_centered_); });
    for (ProbePair& pair : report.pairs)
      pair.cosines.push_back(rows.cosine(words.row(static_cast<Eigen::Index>(pair.a)),
                                         words.row(static_cast<Eigen::Index>(pair.b))));
    const std::vector<kronecker::Neighbors> of_words = rows.nearest(words, asked()),
                                            of_sample = rows.nearest(sample, asked());
    return make_side(
        std::move(name), vocabulary, [&](std::size_t i) { return of_words[i]; },
        [&](std::size_t i) { return of_sample[i]; });
  }

  ProbeSide probe_codes(const kronecker::Vocabulary& vocabulary, ProbeReport& report) const {
    const Encoder encoder(256, pos_dim_);
    const kronecker::TokenBytes token_bytes(vocabulary, encoder);
    for (ProbePair& pair : report.pairs)
      pair.cosines.push_back(encoder.cosine(words_[pair.a], words_[pair.b]));
    const auto nearest = [&](std::string_view bytes) {
      return nearest_tokens(token_bytes, encoder, bytes, asked());
    };
    return make_side(
        "codes", vocabulary, [&](std::size_t i) { return nearest(words_[i]); },
        [&](std::size_t i) { return nearest(vocabulary.bytes(sampled_[i])); });
  }

  int asked() const { return count_ + 1; }  // since the word itself is left out

  template <class OfWord, class OfSampled>
  ProbeSide make_side(std::string name, const kronecker::Vocabulary& vocabulary, const OfWord& of_word,
                      const OfSampled& of_sampled) const {
    ProbeSide side{std::move(name), {}, {}};
    for (std::size_t i = 0; i < words_.size(); ++i)
      side.words.push_back(without(vocabulary.find(words_[i]), of_word(i)));
    for (std::size_t i = 0; i < sampled_.size(); ++i)
      for (const auto& [id, cosine] : without(sampled_[i], of_sampled(i)).tokens)
        ++side.sample[ProbeReport::kind_of(vocabulary.bytes(id), vocabulary.bytes(sampled_[i]))];
    return side;
  }

  kronecker::Neighbors without(std::optional<kronecker::TokenId> self, kronecker::Neighbors nearest) const {
    auto& tokens = nearest.tokens;
    if (self) std::erase_if(tokens, [&](const kronecker::Neighbor& token) { return token.id == *self; });
    tokens.resize(std::min(tokens.size(), static_cast<std::size_t>(count_)));
    return nearest;
  }

  CLI::App* parser_;
  std::string table_, model_, svg_;
  std::string name_ = "weight";
  std::vector<std::string> words_;
  std::vector<kronecker::TokenId> sampled_;
  VocabularyArgument vocabulary_;
  int pos_dim_ = default_pos_dim;
  int count_ = 5;
  int sample_ = 1000;
  bool is_centered_ = false;
  bool as_json_ = false;
};

Command add_probe(CLI::App& tool) { return make_command<Probe>(tool); }

}  // namespace kron
