#pragma once

/// The instruction sets that this machine has.

#include <kronecker/kernels/instruction_set.hpp>

#include <vector>

namespace test_support {

inline std::vector<kronecker::kernels::InstructionSet> instruction_sets() {
  using kronecker::kernels::InstructionSet;
  std::vector<InstructionSet> sets;
  for (const InstructionSet set : {InstructionSet::baseline, InstructionSet::avx2, InstructionSet::avx512})
    if (set <= kronecker::kernels::best_instruction_set()) sets.push_back(set);
  return sets;
}

}  // namespace test_support
