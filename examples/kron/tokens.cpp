#include "report.hpp"
#include "saved_embedding.hpp"
#include "vocabulary_argument.hpp"

#include <kronecker/utf8.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kron {

/// kron tokens: what each id stands for, and why that may matter.
class Tokens {
 public:
  explicit Tokens(CLI::App& tool)
      : parser_(tool.add_subcommand(
            "tokens", "List ids with the bytes they stand for, why they do, and what is odd about them")) {
    vocabulary_.add(*parser_)->required();
    parser_->add_option("--ids", ids_, "These ids alone, separated by commas")
        ->type_name("ID,...")
        ->allow_extra_args(false);
    parser_->add_option("--only", only_, "special, empty, partial, repeated or long tokens alone")
        ->type_name("KIND")
        ->check(examples::one_of({"special", "empty", "partial", "repeated", "long"}));
    parser_->add_option("--containing", containing_, "Tokens alone whose bytes contain this text")
        ->type_name("TEXT");
    add_pos_dim(*parser_, pos_dim_);
    add_json(*parser_, as_json_);
    parser_->footer(
        "examples:\n"
        "  kron tokens tokenizer.json --only special\n"
        "  kron tokens tokenizer.json --containing \" the\"\n"
        "  kron tokens embedding.kron --ids 0,1,262        # as a saved embedding has them");
  }
  const CLI::App* parser() const { return parser_; }

  int run() {
    const kronecker::Vocabulary vocabulary = read();
    std::vector<kronecker::TokenId> ids;
    if (ids_.empty())
      for (kronecker::TokenId id = 0; id < vocabulary.size(); ++id) ids.push_back(id);
    for (const std::string& list : ids_)
      for (const kronecker::TokenId id : examples::parse_ids(list)) {
        vocabulary.bytes(id);  // refuses what is none
        ids.push_back(id);
      }
    std::erase_if(ids, [&](kronecker::TokenId id) { return !is_wanted(vocabulary, id); });
    if (as_json_)
      report_json(vocabulary, ids);
    else
      report(vocabulary, ids);
    return 0;
  }

 private:
  kronecker::Vocabulary read() {
    if (!is_saved_embedding(vocabulary_.path)) return vocabulary_.load(&source_);
    vocabulary_.check_no_reading(vocabulary_.path);
    source_.bytes = "as saved";
    return SavedEmbedding(vocabulary_.path).vocabulary();
  }

  /// Why a token stands for its bytes.
  std::string why(const kronecker::Vocabulary& vocabulary, kronecker::TokenId id) const {
    using kronecker::TokenKind;
    switch (vocabulary.kind(id)) {
      case TokenKind::hole:
        return "hole";
      case TokenKind::unused:
        return "unused";
      case TokenKind::bytes:
        return std::string(source_.bytes);
      case TokenKind::byte_level:
        return "byte-level BPE";
      case TokenKind::piece:
        return "SentencePiece piece";
      case TokenKind::byte_piece:
        return fmt::format("byte token <0x{:02X}>", static_cast<unsigned char>(vocabulary.bytes(id).front()));
      case TokenKind::text:
        return "plain text";
      case TokenKind::special:
        return "special token";
      case TokenKind::reference:
        return "reference's string";
    }
    return "";
  }

  /// Something odd about a token: its name, and a sentence on it.
  struct Remark {
    const char* kind;
    std::string text;
  };

  std::vector<Remark> remarks(const kronecker::Vocabulary& vocabulary, kronecker::TokenId id) const {
    const std::string_view bytes = vocabulary.bytes(id);
    std::vector<Remark> remarks;
    if (bytes.empty()) remarks.push_back({"empty", "the embedding is zero"});
    if (!kronecker::is_valid_utf8(bytes)) remarks.push_back({"partial", "not UTF-8 by itself"});
    if (const kronecker::TokenId first = *vocabulary.find(bytes); first != id && !bytes.empty())
      remarks.push_back({"repeated", fmt::format("the bytes of {}", first)});
    if (bytes.size() > static_cast<std::size_t>(pos_dim_))
      remarks.push_back(
          {"long",
           fmt::format("{} bytes, {} are kept", bytes.size(),
                       kronecker::utf8_safe_prefix(bytes, static_cast<std::size_t>(pos_dim_)).size())});
    return remarks;
  }

  bool is_wanted(const kronecker::Vocabulary& vocabulary, kronecker::TokenId id) const {
    if (vocabulary.bytes(id).find(containing_) == std::string_view::npos) return false;
    if (only_.empty()) return true;
    if (only_ == "special") return vocabulary.is_special(id);
    const auto found = remarks(vocabulary, id);
    return std::any_of(found.begin(), found.end(),
                       [&](const Remark& remark) { return remark.kind == only_; });
  }

  void report(const kronecker::Vocabulary& vocabulary, const std::vector<kronecker::TokenId>& ids) const {
    constexpr std::size_t least = 20, others = 60;  // columns for the bytes, and for all else
    const std::size_t width = examples::output_width();
    const std::size_t most = width > least + others ? width - others : least;
    print_row(fmt::format("{:>7}  {:<{}}  {:<19}  {}", "id", "bytes", least, "why", "what to know"));
    for (const kronecker::TokenId id : ids) {
      std::string text;
      for (const Remark& remark : remarks(vocabulary, id)) text += (text.empty() ? "" : "; ") + remark.text;
      const std::string bytes = examples::fitted(examples::shown(vocabulary.bytes(id)), most);
      const std::size_t columns = examples::columns_of(bytes);
      print_row(fmt::format("{:>7}  {}{:{}}  {:<19}  {}", id, bytes, "",
                            columns < least ? least - columns : 0, why(vocabulary, id), text));
    }
  }

  /// An array with a token a line.
  void report_json(const kronecker::Vocabulary& vocabulary,
                   const std::vector<kronecker::TokenId>& ids) const {
    const char* separator = "[\n";
    for (const kronecker::TokenId id : ids) {
      ordered_json remarked = ordered_json::array();
      for (const Remark& remark : remarks(vocabulary, id)) remarked.push_back(remark.kind);
      const ordered_json token{{"id", id},
                               {"bytes", json_bytes(vocabulary.bytes(id))},
                               {"special", vocabulary.is_special(id)},
                               {"why", why(vocabulary, id)},
                               {"remarks", remarked}};
      fmt::print("{}  {}", separator, token.dump(-1, ' ', /*ensure_ascii=*/true));
      separator = ",\n";
    }
    fmt::print("{}\n]\n", ids.empty() ? "[" : "");
  }

  CLI::App* parser_;
  VocabularyArgument vocabulary_;
  VocabularySource source_;  // what they were read from
  std::vector<std::string> ids_;
  std::string only_, containing_;
  int pos_dim_ = default_pos_dim;
  bool as_json_ = false;
};

Command add_tokens(CLI::App& tool) { return make_command<Tokens>(tool); }

}  // namespace kron
