/** Kronecker embeddings: codes of byte strings, vocabularies and saved embeddings. Wrong arguments and files are an
 * Error with the library's words. */

/** Loads the library: with vector instructions where there are any. */
export function load(): Promise<Kronecker>;

/** Text, which is taken as UTF-8, or any bytes. */
export type Bytes = string | Uint8Array;

export interface Kronecker {
  readonly version: string;
  /** The codes of two byte strings at `posDim` (1 to 255, else 32), what they share, and their cosine. */
  compare(a: Bytes, b: Bytes, options?: { posDim?: number }): Comparison;
  /** What an embedding costs beside a table of the same sizes. */
  costs(sizes: Sizes): Costs;
  /** Opens a tokenizer's file or a saved embedding (.kron); or all files of a model's folder, of which the tokenizer's
   * is taken. Their formats are told by what is in them. */
  open(...files: NamedFile[]): OpenFile;
}

export interface NamedFile {
  name: string;
  bytes: Uint8Array;
}

export interface Code {
  bytes: Uint8Array;
  /** How many of the bytes are encoded: at most posDim. */
  kept: number;
  /** The cell that each of them lights: byte * posDim + position. */
  cells: number[];
  /** What lit cells hold, and all others. */
  lit: number;
  unlit: number;
}

export interface Comparison {
  a: Code;
  b: Code;
  /** The positions at which both have the same byte. */
  shared: number[];
  cosine: number;
  /** The number of all cells, D. */
  codeDim: number;
}

export interface Sizes {
  vocabSize: number;
  dModel: number;
  posDim?: number;
  /** 4 for float32, 2 for bfloat16. */
  bytesPerParameter?: number;
  /** Whether the table is the output head as well, which then has to stay. */
  tied?: boolean;
}

export interface Cost {
  table: number;
  kronecker: number;
  savedPercent: number;
}

export interface Costs {
  inputParameters: Cost;
  /** In bytes, with `tokenBytesMemory`. */
  inputMemory: Cost;
  parametersWithHead: Cost;
  tokenBytesMemory: number;
}

export interface Token {
  id: number;
  bytes: Uint8Array;
  /** The bytes as text, with escapes for what could not be seen. */
  text: string;
  kind: 'hole' | 'unused' | 'bytes' | 'byte-level' | 'piece' | 'byte piece' | 'text' | 'special' | 'reference';
}

export interface OpenFile {
  readonly format: string;
  /** The number of tokens. */
  readonly size: number;
  /** What the reader had to assume, and what is missing, in sentences. */
  readonly notes: string[];
  /** Of saved embeddings. */
  readonly posDim?: number;
  readonly dModel?: number;
  readonly rows?: 'F32' | 'BF16' | 'F16' | 'I8';
  readonly ownRows?: number;

  /** Some tokens, by id: all, or those longer than posDim, or special, or that are no UTF-8. */
  tokens(options?: {
    only?: 'all' | 'cut' | 'special' | 'notText';
    containing?: Bytes;
    posDim?: number;
    first?: number;
    count?: number;
  }): { found: number; tokens: Token[] };
  /** What is cut and what cannot be told apart at posDim. */
  audit(options?: { posDim?: number }): Audit;
  /** The nearest tokens: of a saved embedding by their embeddings, else by their codes at posDim. */
  nearest(bytes: Bytes, options?: { count?: number; posDim?: number }): Nearest;
  /** A checksum of all embeddings, with random weights or those of the file: the same on every system. */
  checksum(options?: { posDim?: number; dModel?: number; seed?: number }): string;
  /** Frees its memory. */
  close(): void;
}

export interface Nearest {
  tokens: (Token & { cosine: number })[];
  /** How many more are exactly as near as the last one. */
  tiedWithLast: number;
}

export interface Audit {
  tokens: number;
  /** Longer than posDim bytes. */
  cut: number;
  empty: number;
  /** With the same bytes as another, whatever posDim is. */
  sameBytes: number;
  /** With the code of another. */
  colliding: number;
  reachedCells: number;
  codeDim: number;
  /** How many sets of tokens share a code, and the first 100 of them with at most four tokens each. */
  groups: number;
  sharedCodes: { count: number; sameBytes: boolean; tokens: Token[] }[];
  /** posDimUncut and posDimApart: the smallest without a token cut, and without two of other bytes and one code. */
  scripts: {
    script: string;
    tokens: number;
    cut: number;
    colliding: number;
    posDimUncut: number | null;
    posDimApart: number | null;
  }[];
  posDims: { posDim: number; cut: number; colliding: number }[];
}
