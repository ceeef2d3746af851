#include "shared.hpp"

kronecker::TokenId count(const Embedding& embedding) { return embedding.vocab_size(); }
kronecker::Vocabulary make_vocabulary() { return kronecker::Vocabulary({"a", "b", "c"}); }
const kronecker::Vocabulary the_vocabulary({"a", "b", "c"});
