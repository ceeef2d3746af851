/// What each instruction set's kernels are worth, one thread.
///     benchmark_instruction_sets [--quick] [--json FILE]

#include "contenders.hpp"
#include "report.hpp"

namespace {

using namespace benchmarks;
using kronecker::kernels::InstructionSet;

// The forward pass with the instructions of `set`.
template <class Scalar>
Embed forward_with(InstructionSet set, const Embedding<Scalar>& embedding) {
  return [set, embedding, scales = embedding.encoder().scales()](std::span<const TokenId> ids,
                                                                 std::span<float> out) {
    const auto& tokens = embedding.token_bytes();
    kronecker::kernels::gather_sum<kronecker::ProjectionRows<Scalar>::type,
                                   kronecker::kernels::RowType::float32>(
        set, embedding.rows().view(embedding.encoder().pos_dim()),
        {tokens.bytes().data(), tokens.lengths().data(), scales.data(), ids.data(), ids.size()},
        {out.data(), static_cast<std::size_t>(embedding.d_model()), false});
  };
}

void measure(const Setting& setting, bool quick, Table& table) {
  const Workload work(setting, quick);
  const auto d_model = static_cast<std::size_t>(setting.d_model);
  const Windows windows{work.text.ids, 512, d_model};
  const Embed copy = copy_of(work.table);
  for_each_row_type(work.embedding, [&](const std::string& rows, const auto& embedding) {
    std::vector<Cell> row{setting.name(), rows};
    for (const InstructionSet set :
         {InstructionSet::baseline, InstructionSet::avx2, InstructionSet::avx512}) {
      if (set > kronecker::kernels::best_instruction_set()) {
        row.push_back("");
        continue;
      }
      const Embed forward = forward_with(set, embedding);
      check_agreement(rows, forward, forward_of(embedding), windows.ids, d_model);
      row.push_back(compare(forward, copy, windows).ratio);
    }
    table.rows.push_back(std::move(row));
  });
}

}  // namespace

int main(int argc, char** argv) {
  return run("instruction_sets", argc, argv, [](Report& report, const Options& options) {
    Table table{"instruction_sets",
                "Instruction sets: forward pass relative to copying float32 rows, 512 ids at a time",
                "The sets make the same bits, which is checked. Baseline is SSE2, or NEON on Arm; empty "
                "where the processor lacks one.",
                {settings_are, "rows", "baseline", "avx2", "avx512"}};
    for (const Setting& setting : settings(options.quick)) measure(setting, options.quick, table);
    report.add(std::move(table));
  });
}
