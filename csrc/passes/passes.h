// Rewrites of a graph. Each pass leaves a graph that verify() accepts and that computes the same function
// (within the integer contract: quantized regions to the bit of the contract, not of the source's float emulation).
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "graph/graph.h"

namespace quaver {

// Runs one node whose inputs are all constants; gives its outputs as constants' contents (dtype and shape are in the
// graph). Returns empty where it cannot.
using Evaluator = std::function<std::vector<Blob>(const Graph&, const Node&)>;

struct Pass {
  const char* name;
  bool (*run)(Graph&, const Evaluator&);  // true where it changed something
};

// The order of import: a plain list in pipeline.cc.
void run_pipeline(Graph& graph, const Evaluator& evaluate);
// What a change of input shapes makes possible: inference, constant folding, dead code. For the plan's specialization.
void specialize(Graph& graph, const std::vector<Dims>& input_shapes, const Evaluator& evaluate);

// The graph of one image, where the first dimension of all inputs and outputs is a batch whose images go their own
// ways; nothing where they may not, or where a batch has one. All shapes are static.
std::optional<Graph> one_of_batch(const Graph& graph, const Evaluator& evaluate);

// One function per file, passes/<name>.cc.
bool fold_constants(Graph&, const Evaluator&);
bool fold_constants_keep_quantized(Graph&, const Evaluator&);  // as above, but DequantizeLinear of constants stays
bool canonicalize(Graph&, const Evaluator&);                   // identities and no-ops away, aliases brought to Reshape
bool push_transposes(Graph&, const Evaluator&);                // to the edges, cancelling in between
bool fold_batch_norm(Graph&, const Evaluator&);  // and constants per channel, into the weights before them
bool fold_factors(Graph&, const Evaluator&);     // products by constants a channel, into the scales after them
bool flush_weights(Graph&, const Evaluator&);    // subnormal ones become zeros
bool lower_qdq(Graph&, const Evaluator&);        // DQ → op → Q becomes op on quantized values
bool normalize_s8(Graph&, const Evaluator&);     // s8 activations become u8
bool fuse_tables(Graph&, const Evaluator&);      // unary u8 → u8 chains become one Table
bool fuse_activation(Graph&, const Evaluator&);  // Clip (Relu, Relu6) into what makes its input
bool fuse_residual(Graph&, const Evaluator&);    // Add into the convolution or product before it
bool fuse_bias(Graph&, const Evaluator&);        // Add of a row into the product before it
bool fuse_dynamic(Graph&, const Evaluator&);     // a product of dynamic quantization gives reals at once
bool fuse_functions(Graph&, const Evaluator&);   // layer normalization and GELU in pieces become one node
bool fuse_gather(Graph&, const Evaluator&);      // what is done to rows of a known table, to the table itself
bool fuse_norm(Graph&, const Evaluator&);        // Add before and QuantizeLinear after a LayerNormalization into it
bool fuse_attention(Graph&, const Evaluator&);   // scores, Softmax and their product with values become one node
bool remove_dead(Graph&, const Evaluator&);

}  // namespace quaver
