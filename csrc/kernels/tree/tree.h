// Ensembles of decision trees.
//
//   for t in order: n = roots[t]; while n >= 0: n = goes(mode[n], x[i][feature[n]], threshold[n]) ? yes[n] : no[n]
//                   for e in [leaf_begin[~n], leaf_begin[~n + 1]): c[i][target[e]] = c[i][target[e]] ∘ weight[e]
//
// where ∘ is +, min or max, and c holds what each sum starts with. The order of trees is kept, so every kernel gives
// the same bits. The low bits of a mode say how x is compared; kNanGoes sends a NaN the way of `yes`.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"

namespace quaver::kernels {

enum TreeMode : std::uint8_t { kLeq, kLt, kGeq, kGt, kEq, kNeq };
inline constexpr std::uint8_t kNanGoes = 8;
enum class TreeSum : std::uint8_t { add, min, max };

template <class T>
struct TreeArgs {
  std::size_t rows = 0, features = 0, trees = 0, targets = 0;
  const T* x = nullptr;  // [rows][features]
  const std::int32_t* roots = nullptr;
  const std::int32_t* feature = nullptr;
  const T* threshold = nullptr;
  const std::uint8_t* mode = nullptr;      // null: kLeq everywhere
  const std::int32_t* children = nullptr;  // (yes, no) of each node; ~leaf where negative
  const std::int32_t* leaf_begin = nullptr;
  const std::int32_t* target = nullptr;
  const T* weight = nullptr;
  TreeSum sum = TreeSum::add;
  T* c = nullptr;  // [rows][targets]
};

template <class T>
struct TreeKernel {
  const char* name;
  Isa isa;
  void (*run)(const TreeArgs<T>&);
};

template <class T>
struct TreeList {
  const TreeKernel<T>* const* items;
  std::size_t size;
};
// T is float or double.
template <class T>
TreeList<T> tree_kernels();
template <class T>
const TreeKernel<T>& pick_tree(IsaSet set);

}  // namespace quaver::kernels
