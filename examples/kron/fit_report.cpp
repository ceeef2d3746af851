#include "fit_report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace kron {
namespace {

constexpr std::size_t worst_listed = 10;

/// A number that has only so many digits that matter, or "-".
std::string shown_r_squared(double value) { return std::isnan(value) ? "-" : fmt::format("{:.3f}", value); }

/// A length, an id or a count; without a point if it is whole.
ordered_json json_number(double value) {
  constexpr double exact = 9007199254740992;  // 2^53
  if (value == std::floor(value) && value < exact) return static_cast<std::int64_t>(value);
  return value;
}

ordered_json json_groups(const std::vector<kronecker::FitGroup>& groups, const char* first,
                         const char* last) {
  ordered_json list = ordered_json::array();
  for (const kronecker::FitGroup& group : groups)
    list.push_back({{first, json_number(group.first)},
                    {last, json_number(group.last)},
                    {"tokens", group.ids.size()},
                    {"r_squared", group.r_squared},
                    {"held_out", group.held_out},
                    {"held_out_r_squared", group.held_out_r_squared}});
  return list;
}

}  // namespace

bool FitReport::explains_nothing() const {
  constexpr double noise = 0.02;
  if (!std::isnan(fit.held_out_r_squared)) return fit.held_out_r_squared < noise;
  return fit.r_squared < fit.chance + noise;
}

FitReport::Lost FitReport::lost() const {
  Lost lost;
  double squares = 0, all_squares = 0;
  for (kronecker::TokenId id = 0; id < vocabulary.size(); ++id) {
    const double square = table.row(id).cast<double>().squaredNorm();
    all_squares += square;
    if (!vocabulary.bytes(id).empty() || std::binary_search(own_ids.begin(), own_ids.end(), id)) continue;
    ++lost.tokens;
    squares += square;
  }
  lost.share = all_squares > 0 ? squares / all_squares : 0;
  return lost;
}

std::pair<double, double> FitReport::numbers() const {
  const auto of_rows = [&](double rows) { return rows * static_cast<double>(table.cols()); };
  return {of_rows(static_cast<double>(table.rows())),
          of_rows(static_cast<double>(own_ids.size()) + encoder.code_dim())};
}

double FitReport::own_occurrences() const {
  double occurrences = 0;
  for (const kronecker::TokenId id : own_ids) occurrences += counts->of[static_cast<std::size_t>(id)];
  return occurrences / counts->total();
}

std::size_t FitReport::fitted() const {
  return static_cast<std::size_t>(std::count_if(fit.tokens.begin(), fit.tokens.end(),
                                                [](const auto& token) { return token.weight > 0; }));
}

std::size_t FitReport::held_out() const {
  return static_cast<std::size_t>(std::count_if(
      fit.tokens.begin(), fit.tokens.end(), [](const auto& token) { return !std::isnan(token.held_out); }));
}

std::vector<kronecker::FitGroup> FitReport::by_count() const {
  std::vector<kronecker::FitGroup> groups = kronecker::fit_by_weight(fit);
  for (kronecker::FitGroup& group : groups) {
    group.first = counts->of[static_cast<std::size_t>(group.ids.front())];
    group.last = counts->of[static_cast<std::size_t>(group.ids.back())];
  }
  return groups;
}

double FitReport::cost(kronecker::TokenId id) const {
  double all = 0;
  for (const kronecker::TokenFit& token : fit.tokens) all += token.weight * token.distance;
  const kronecker::TokenFit& token = fit.tokens[static_cast<std::size_t>(id)];
  return all > 0 ? token.weight * token.distance / all : 0;
}

void FitReport::warn(const std::string& table_name) const {
  if (fit.shift == 0) return;
  fmt::print(
      stderr,
      "kron: {}: the rows fit the tokens better when they are shifted by {:+}: R^2 {:.3f} of tokens that "
      "are held out, not {:.3f}. Token 100 seems to have row {}: the table's ids are not the "
      "tokenizer's, as those of XLM-R's family are not its SentencePiece model's; the model's own "
      "tokenizer.json has them\n",
      table_name, fit.shift, fit.shifted_r_squared, fit.held_out_r_squared, 100 + fit.shift);
}

void FitReport::print(std::FILE* to) const {
  const auto say = [&](std::size_t indent, const std::string& text) { print_text(indent, text, to); };
  say(0,
      fmt::format("R^2 {}: what the codes explain of what makes {} tokens differ (1: all; 0: as near as one "
                  "row for all){}{}",
                  shown_r_squared(fit.r_squared), fitted(),
                  fit.converged ? "" : fmt::format("; not converged in {} iterations", fit.iterations),
                  !explains_nothing() ? ""
                  : held_out() > 0    ? "; the codes explain nothing here"
                                      : "; no more than chance explains"));
  say(2, held_out() > 0
             ? fmt::format("of {} tokens that were held out {}; of rows dealt to the tokens at "
                           "random {}",
                           held_out(), shown_r_squared(fit.held_out_r_squared), shown_r_squared(fit.chance))
             : fmt::format("chance gives {}: of rows dealt to the tokens at random; the tokens are "
                           "too few to hold some out",
                           shown_r_squared(fit.chance)));
  say(2, fmt::format("ridge {:.4g}{}", fit.ridge,
                     !ridge_is_free   ? ", as given"
                     : held_out() > 0 ? ", the best for other tokens that were held out"
                                      : ""));
  if (!std::isnan(fit.plain_r_squared))
    say(2, fmt::format("without a ridge R^2 {}, and {} by chance", shown_r_squared(fit.plain_r_squared),
                       shown_r_squared(fit.plain_chance)));
  say(2, fmt::format("the mean row, the same for all tokens, has {:.2f} % of the squares of the table",
                     100 * fit.mean_share));
  say(2, counts ? fmt::format("tokens weigh 1 and {}: {} of {} occur, {} in all", counts->source,
                              counts->occurring(), vocabulary.size(), counts->total())
                : "every token weighs the same; --counts or --text weights them by how often they occur");
  if (!own_ids.empty())
    say(2, fmt::format("{} tokens keep their rows, {}{}: the fit is to the others", own_ids.size(), own_name,
                       counts ? fmt::format(", {:.2f} % of all that occur", 100 * own_occurrences()) : ""));
  const auto [all_numbers, left] = numbers();
  say(2, fmt::format("left of the table's {} numbers: {:.2f} %, {} cells{}",
                     examples::short_number(all_numbers), 100 * left / all_numbers, encoder.code_dim(),
                     own_ids.empty() ? "" : fmt::format(" and {} rows", own_ids.size())));
  if (const Lost zero = lost(); zero.tokens > 0)
    say(2,
        fmt::format("{} tokens have no bytes: they become zero, and their rows, {:.2f} % of the squares, are "
                    "lost",
                    zero.tokens, 100 * zero.share));
  if (const auto padding = table.rows() - vocabulary.size(); padding > 0)
    say(2, fmt::format("the table has {} rows more than there are tokens: ids from {} on are tokens without "
                       "bytes",
                       padding, vocabulary.size()));

  constexpr std::size_t longest = 12;
  const kronecker::TokenBytes token_bytes(vocabulary, encoder);
  print_groups("bytes", kronecker::fit_by_length(fit, token_bytes, longest), to);
  if (counts)
    print_groups("count", by_count(), to);
  else
    print_groups("ids", kronecker::fit_by_id(fit), to);
  print_worst(to);
}

void FitReport::print_groups(const char* what, const std::vector<kronecker::FitGroup>& groups,
                             std::FILE* to) const {
  fmt::print(to, "\n");
  print_row(fmt::format("  {:>17} {:>9} {:>8} {:>9}", what, "tokens", "R^2", "held out"), to);
  for (const kronecker::FitGroup& group : groups) {
    const std::string range = group.first == group.last
                                  ? fmt::format("{:.6g}", group.first)
                                  : fmt::format("{:.6g} to {:.6g}", group.first, group.last);
    print_row(fmt::format("  {:>17} {:>9} {:>8} {:>9}", range, group.ids.size(),
                          shown_r_squared(group.r_squared), shown_r_squared(group.held_out_r_squared)),
              to);
  }
}

void FitReport::print_worst(std::FILE* to) const {
  fmt::print(to, "\n");
  print_row("  the worst tokens, by their share of all squared distances", to);
  for (const kronecker::TokenId id : kronecker::worst_fitted(fit, worst_listed)) {
    const kronecker::TokenFit& token = fit.tokens[static_cast<std::size_t>(id)];
    print_row(fmt::format("  {:>8.4f} % {:>9} {}, {:.3g} from its row, which is {:.3g} from the mean row",
                          100 * cost(id), id, examples::shown(vocabulary.bytes(id)),
                          std::sqrt(token.distance), std::sqrt(token.spread)),
              to);
  }
}

ordered_json FitReport::json(const std::string& output) const {
  const kronecker::TokenBytes token_bytes(vocabulary, encoder);
  const Lost zero = lost();
  ordered_json worst = ordered_json::array(), residuals = ordered_json::array();
  for (const kronecker::TokenId id : kronecker::worst_fitted(fit, worst_listed)) {
    const kronecker::TokenFit& token = fit.tokens[static_cast<std::size_t>(id)];
    worst.push_back({{"id", id},
                     {"bytes", json_bytes(vocabulary.bytes(id))},
                     {"share", cost(id)},
                     {"distance", std::sqrt(token.distance)},
                     {"from_mean", std::sqrt(token.spread)}});
  }
  for (kronecker::TokenId id = 0; id < vocabulary.size(); ++id) {
    const double norm = table.row(id).cast<double>().norm();
    const double distance = std::sqrt(fit.tokens[static_cast<std::size_t>(id)].distance);
    residuals.push_back(norm > 0 ? ordered_json(static_cast<float>(distance / norm)) : ordered_json());
  }
  ordered_json report{
      {"r_squared", fit.r_squared},
      {"held_out_r_squared", fit.held_out_r_squared},
      {"chance", fit.chance},
      {"plain_r_squared", fit.plain_r_squared},
      {"plain_chance", fit.plain_chance},
      {"explains_nothing", explains_nothing()},
      {"mean_share", fit.mean_share},
      {"tokens", fitted()},
      {"held_out", held_out()},
      {"ridge", fit.ridge},
      {"ridge_is_chosen", ridge_is_free && held_out() > 0},
      {"shift", fit.shift},
      {"shifted_r_squared", fit.shifted_r_squared},
      {"gradient", fit.gradient},
      {"converged", fit.converged},
      {"iterations", fit.iterations},
      {"tokens_without_bytes", zero.tokens},
      {"share_without_bytes", zero.share},
      {"padding_ids", table.rows() - vocabulary.size()},
      {"by_length", json_groups(kronecker::fit_by_length(fit, token_bytes), "shortest", "longest")},
      {"by_id", json_groups(kronecker::fit_by_id(fit), "first", "last")}};
  if (counts) {
    report["counts"] = {{"occurring", counts->occurring()}, {"total", json_number(counts->total())}};
    report["by_count"] = json_groups(by_count(), "most", "fewest");
  }
  if (!own_ids.empty()) report["own_rows"] = own_ids;
  report["worst"] = worst;
  report["residuals"] = residuals;
  report["output"] = output;
  return report;
}

}  // namespace kron
