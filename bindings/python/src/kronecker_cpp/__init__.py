"""Kronecker embeddings: a language model's input embedding without the table.

    from kronecker_cpp import KroneckerEmbedding, Vocabulary

    embedding = KroneckerEmbedding.load("embedding.kron")   # a file that the tool kron or kronecker::save wrote
    embedding([464, 2068])                                  # (2, d_model) float32
    embedding.embed(b" unfoxlike")                          # any byte string, in the vocabulary or not

    vocabulary = Vocabulary.load("tokenizer.json")          # or SentencePiece, tiktoken ranks, GGUF
    vocabulary.bytes(464)                                   # b"The"

This much needs NumPy alone. `kronecker_cpp.torch` has the module to train, `kronecker_cpp.transformers` puts it into a
model of Hugging Face's.
"""

from kronecker_cpp._library import version
from kronecker_cpp.embedding import KroneckerEmbedding
from kronecker_cpp.vocabulary import Vocabulary

__version__ = version()
__all__ = ["KroneckerEmbedding", "Vocabulary", "__version__"]
